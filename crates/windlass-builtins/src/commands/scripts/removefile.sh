# $path
if absent "$path"; then
  exit 80
fi
if [ -d "$path" ] && [ ! -L "$path" ]; then
  guard "$path"
  rm -rf "$path" || exit 1
else
  rm -f "$path" || exit 1
fi
exit 0
