# $dir, $clobber (yes or nothing), $mode (octal digits or nothing), $owner (or nothing)
changed=
facts_of() {
  set -- $(ls -ldn "$dir")
  printf '%s %s %s' "$1" "$3" "$4"
}
if [ ! -d "$dir" ]; then
  mkdir -p "$dir" || exit 1
  changed=yes
elif [ -n "$clobber" ]; then
  if [ -L "$dir" ]; then
    fail "$dir is a symbolic link; only a directory named by itself is emptied"
  fi
  guard "$dir"
  cd -P "$dir" || exit 1
  if [ -n "$(ls -A)" ]; then
    find . ! -name . -prune -exec rm -rf {} + || exit 1
    changed=yes
  fi
fi
before=$(facts_of)
if [ -n "$owner" ]; then
  chown "$owner" "$dir" || exit 1
fi
if [ -n "$mode" ] && [ "$(stat -c %a "$dir" 2>/dev/null)" != "$mode" ]; then
  chmod "$mode" "$dir" || exit 1
fi
[ "$before" = "$(facts_of)" ] || changed=yes
[ -n "$changed" ] || exit 80
exit 0
