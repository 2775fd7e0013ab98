# $from, $to, $replace (yes or nothing)
if absent "$from"; then
  [ -d "$to" ] || fail "$from: no such directory"
  exit 80
fi
[ -d "$from" ] && [ ! -L "$from" ] || fail "$from is not a directory"
mkdir -p "${to%/*}/" || exit 1
if absent "$to"; then
  rename "$from" "$to" || exit 1
  exit 0
fi
[ ! -L "$to" ] || fail "$to is a symbolic link"
[ -d "$to" ] || fail "$to is not a directory"
guard "$to"
if [ -z "$replace" ] && [ ! -d "${to%/*}/.windlass/receipts/${to##*/}" ]; then
  held=$(ls -A "$to") || exit 1
  [ -z "$held" ] || fail "$to holds what was not installed by Windlass: move it away, or set \`replace\`"
fi
if [ "$(mount_point "$from")" != "$(mount_point "${to%/*}/")" ]; then
  fail "$from and $to lie on different file systems"
fi
make_temp "${to%/*}"
trap '' HUP INT PIPE TERM
if exchange "$from" "$to"; then
  rename "$from" "$temp/old" || exit 1
  trap 'exit 143' HUP INT PIPE TERM
else
  swap "$from" "$to"
fi
exit 0
