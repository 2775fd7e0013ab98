# $from, $to, $version
[ -d "$from" ] || fail "$from: no such directory"
if [ -L "$to" ]; then
  fail "$to is a symbolic link; name the directory itself"
elif [ -e "$to" ] && [ ! -d "$to" ]; then
  fail "$to is not a directory"
elif [ -d "$to" ]; then
  guard "$to"
  if [ -n "$(ls -A "$to/")" ] && [ ! -f "$to/.version" ]; then
    fail "$to holds files that were not deployed as properties (no .version in it); move it away first"
  fi
else
  mkdir -p "${to%/*}/" || exit 1
fi
make_temp "${to%/*}"
cp -R -H -p "$from" "$temp/new" || exit 1
rm -rf "$temp/new/.version" || exit 1
printf '%s\n' "$version" >"$temp/new/.version" || exit 1
if [ ! -d "$to" ]; then
  rename "$temp/new" "$to" || exit 1
  exit 0
fi
if diff -r -q "$temp/new" "$to" >/dev/null 2>&1; then
  exit 80
fi
swap "$temp/new" "$to"
exit 0
