# $from, $to, $clobber (yes or nothing)
if absent "$from"; then
  if absent "$to"; then
    fail "$from: no such file or directory"
  fi
  exit 80
fi
from_dir=${from%/*}/
to_dir=${to%/*}/
[ -d "$to_dir" ] || fail "$to_dir: no such directory"
if absent "$to"; then
  in_the_way=
else
  in_the_way=yes
  [ -n "$clobber" ] || fail "$to exists already; set clobber to replace it"
  if [ -d "$to" ] && [ ! -L "$to" ]; then
    guard "$to"
  fi
fi
# place NEW: the last move, within one file system
place() {
  if [ -z "$in_the_way" ]; then
    rename "$1" "$to" || exit 1
  elif [ ! -d "$1" ] && { [ ! -d "$to" ] || [ -L "$to" ]; }; then
    rename "$1" "$to" || exit 1
  else
    [ -n "$temp" ] || make_temp "${to%/*}"
    swap "$1" "$to"
  fi
}
if [ "$(mount_point "$from_dir")" = "$(mount_point "$to_dir")" ]; then
  place "$from"
  exit 0
fi
make_temp "${to%/*}"
cp -R -P -p "$from" "$temp/new" || exit 1
place "$temp/new"
gone=${from%/*}/.windlass-moved.$$
rename "$from" "$gone" && rm -rf "$gone" || fail "$from was copied to $to but cannot be removed"
exit 0
