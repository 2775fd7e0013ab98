# $path; $keep (a number); $current (a version or nothing); $releases (where versions are installed, or nothing: here); matching: a function that calls `consider` with each entry
# that the filespec matches; excepted: a function that tells whether an entry is left alone
[ -d "$path" ] || exit 80
cd -P "$path" || exit 1
real=$(pwd -P)
here=${real%/}
base=${releases:-.}
line='
'
# Links are never removed, nor is what they point to, wherever in an entry that is.
entries=
linked=
for entry in * .[!.]*; do
  if [ -L "./$entry" ]; then
    target=$(readlink -f "./$entry") && linked=$linked$line$target/
  fi
done
consider() {
  if [ -L "./$1" ] || [ ! -e "./$1" ] || excepted "$1"; then
    return
  fi
  case $1 in
    *"$line"*) fail "an entry of $path has a line break in its name" ;;
  esac
  entries=$entries$line./$1
}
matching
# The name of a release, $1 being what it was installed from.
stem() {
  case ${releases:+$1} in
    *.tar.*) printf '%s\n' "${1%.tar.*}" ;;
    *.tar | *.tgz | *.tbz2 | *.txz | *.zip | *.jar | *.war) printf '%s\n' "${1%.*}" ;;
    *) printf '%s\n' "$1" ;;
  esac
}
is_protected() {
  case $linked in
    *"$line$here/$1"/*) return 0 ;;
  esac
  case $previous in
    *"$line$(stem "$1")$line"*) return 0 ;;
  esac
  if [ -n "$current" ]; then
    case $1 in
      "$current" | *[_-]"$current" | *[_-]"$current".*) return 0 ;;
    esac
  fi
  return 1
}
# What ran well before what a link points to now: by the receipts, the success of another version before its last one.
before() {
  other=
  good=
  seen=
  while IFS= read -r to; do
    if [ "$to" = "$1" ]; then
      good=$other
      seen=yes
    else
      other=$to
    fi
  done
  [ -n "$seen" ] || good=$other
  printf '%s\n' "$good"
}
previous=
for receipts in "$base"/.windlass/receipts/*/; do
  service=${receipts%/}
  service=${service##*/}
  [ -L "$base/$service" ] || continue
  now=$(readlink "$base/$service") || continue
  now=${now##*/}
  now=${now#"$service"[_-]}
  good=$(grep -hF '"result":"succeeded"' "$receipts"*.json 2>/dev/null |
    sed 's/.*"to":"\([^"]*\)".*/\1/' | before "$now")
  if [ -n "$good" ]; then
    previous=$previous$line${service}_$good$line$service-$good$line
  fi
done
# The last receipt for it says something else than success; or it was never installed where others were.
has_failed() {
  name=$(stem "$1")
  known=
  installed=
  for receipts in "$base"/.windlass/receipts/*/; do
    service=${receipts%/}
    service=${service##*/}
    case $name in
      "$service"_?*) version=${name#"$service"_} ;;
      "$service"-?*) version=${name#"$service"-} ;;
      *) continue ;;
    esac
    known=yes
    last=$(grep -lF "\"to\":\"$version\"" "$receipts"*.json 2>/dev/null | tail -n 1)
    if [ -n "$last" ]; then
      grep -qF '"result":"succeeded"' "$last" || return 0
      installed=yes
    elif [ -e "$base/${service}_$version" ]; then
      installed=yes
    fi
  done
  [ -n "$releases" ] && [ -n "$known" ] && [ -z "$installed" ]
}
IFS=$line
set -f
set -- $entries
[ $# -gt 0 ] || exit 80
all=$#
# oldest first
oldest=$(ls -1dtr "$@") || exit 1
set -- $oldest
set +f
good=
failed=
good_count=0
for entry in "$@"; do
  entry=${entry#./}
  if has_failed "$entry"; then
    failed=$failed$line$entry
  else
    good=$good$line$entry
    good_count=$((good_count + 1))
  fi
done
removed=
remove() {
  [ -n "$temp" ] || make_temp "$here"
  rename "./$1" "$temp/$1" || exit 1
  rm -rf "$temp/$1" || exit 1
  printf '%s\n' "removed $real/$1"
  removed=yes
}
set -f
set -- $failed
excess=$((all - keep))
for entry in "$@"; do
  if [ "$excess" -gt 0 ] && ! is_protected "$entry"; then
    remove "$entry"
    excess=$((excess - 1))
  fi
done
set -- $good
excess=$((good_count - keep))
for entry in "$@"; do
  if [ "$excess" -gt 0 ] && ! is_protected "$entry"; then
    remove "$entry"
    excess=$((excess - 1))
  fi
done
[ -n "$removed" ] || exit 80
exit 0
