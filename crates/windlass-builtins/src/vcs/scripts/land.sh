# land REVISION: $temp/new becomes $to, then $out tells the revision. What an earlier attempt left there is replaced.
land() {
  if [ -d "$to" ] && [ ! -L "$to" ]; then
    if [ -e "$out" ]; then
      swap "$temp/new" "$to"
    else
      rmdir "$to" 2>/dev/null || fail "$to is there already, and not empty"
      rename "$temp/new" "$to" || exit 1
    fi
  elif absent "$to"; then
    rename "$temp/new" "$to" || exit 1
  else
    fail "$to is there already, and no directory"
  fi
  printf '%s\n' "$1" >"$temp/revision" || exit 1
  rename "$temp/revision" "$out" || exit 1
  printf '%s\n' "$1"
}
need() {
  command -v "$1" >/dev/null 2>&1 || fail "this host has no $1"
}
mkdir -p "${to%/*}/" "${out%/*}/" || exit 1
make_temp "${to%/*}"
