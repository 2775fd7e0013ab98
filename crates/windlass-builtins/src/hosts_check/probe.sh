# Looks at the host and says what it found, a line each, its parts apart by a tab. Changes nothing.
tab=$(printf '\t')
nl='
'
have() {
  command -v "$1" >/dev/null 2>&1
}
say() {
  printf '%s\n' "$1$tab$2$tab$3$tab$4"
}
# tools: those that are missing
tools() {
  for tool in awk cat chmod cp date df find grep gzip head ln ls mkdir mktemp mv readlink rm sed sort tail tar touch tr; do
    have "$tool" || say missing "$tool"
  done
  have sha256sum || have shasum || have openssl || have sha256 || say missing sha256sum
  for tool in bzip2 unzip xz zstd; do
    have "$tool" || say missing "$tool"
  done
  have python3 || say missing python3
  if ! have mv || mv --help 2>&1 | grep -q -e -T; then :; else say missing 'mv -T'; fi
}
# disk NUMBER PATH: of its file system
disk() {
  df=$(df -Pk "$2" 2>/dev/null)
  say space "$1" '' "${df##*"$nl"}"
  df=$(df -Pi "$2" 2>/dev/null)
  case $df in
    *Inodes*) say inodes "$1" '' "${df##*"$nl"}" ;;
  esac
}
# place NUMBER PATH: whether it, or what is there of it, can be written to
place() {
  path=$2
  until [ -e "$path" ] || [ -L "$path" ] || [ "$path" = / ]; do
    path=${path%/*}
    [ -n "$path" ] || path=/
  done
  kind=closed
  if [ ! -d "$path" ]; then
    kind=file
  elif [ -w "$path" ] && [ -x "$path" ]; then
    kind=open
  fi
  say place "$1" "$kind" "$path"
  disk "$1" "$path"
}
# unit NUMBER NAME: whether systemd knows it
unit() {
  said=$(systemctl show -p LoadState "$2" 2>&1)
  say service "$1" "$?" "${said##*"$nl"}"
}
# service NUMBER FUNCTION: what its supervisor says of it
service() {
  said=$("$2" 2>&1)
  say service "$1" "$?" "${said##*"$nl"}"
}
say clock "$(date +%s)"
