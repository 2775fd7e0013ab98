# the sources as positional parameters; $to; $into (yes: $to is a directory to copy into); $continue (yes or nothing)
changed=
same() {
  if [ -d "$1" ] && [ -d "$2" ]; then
    diff -r -q "$1" "$2" >/dev/null 2>&1
  elif [ -f "$1" ] && [ -f "$2" ]; then
    cmp -s "$1" "$2"
  else
    false
  fi
}
copy() {
  if absent "$1"; then
    fail "$1: no such file or directory"
  fi
  if ! absent "$2"; then
    if same "$1" "$2"; then
      return 0
    fi
    [ -n "$continue" ] || fail "$2 exists already, with other contents"
    printf '%s\n' "$2 exists already and is left as it is"
    return 0
  fi
  [ -n "$temp" ] || make_temp "${2%/*}"
  cp -R -H -p "$1" "$temp/new" || exit 1
  rename "$temp/new" "$2" || exit 1
  changed=yes
}
if [ -n "$into" ]; then
  if [ ! -e "$1" ] && [ ! -L "$1" ]; then
    fail "nothing matches $1"
  fi
  if [ ! -d "$to" ]; then
    mkdir -p "$to" || exit 1
    changed=yes
  fi
  for source in "$@"; do
    copy "$source" "$to/${source##*/}"
  done
else
  copy "$1" "$to"
fi
[ -n "$changed" ] || exit 80
exit 0
