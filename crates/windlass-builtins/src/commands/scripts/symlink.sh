# $target, $link
link_target() {
  if command -v readlink >/dev/null 2>&1; then
    readlink "$link"
  else
    ls -ld "$link" | sed 's/.* -> //'
  fi
}
if [ -L "$link" ]; then
  [ "$(link_target)" != "$target" ] || exit 80
elif [ -d "$link" ]; then
  fail "$link is a directory, not a link; move it away first"
elif [ -e "$link" ]; then
  fail "$link is a file, not a link; move it away first"
fi
make_temp "${link%/*}"
ln -s -- "$target" "$temp/link" || exit 1
rename "$temp/link" "$link" || exit 1
exit 0
