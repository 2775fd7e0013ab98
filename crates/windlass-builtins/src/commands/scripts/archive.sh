# $dir; $name; $depth (how many to keep, or -1); $release (a directory, or nothing); the components as parameters
sha256_of_all() {
  if command -v sha256sum >/dev/null 2>&1; then
    find . -type f ! -path ./MANIFEST -exec sha256sum {} +
  elif command -v shasum >/dev/null 2>&1; then
    find . -type f ! -path ./MANIFEST -exec shasum -a 256 {} +
  else
    fail "this host has neither sha256sum nor shasum"
  fi
}
mkdir -p "$dir" || exit 1
make_temp "$dir"
new=$temp/new
if [ -n "$release" ]; then
  [ -d "$release" ] || fail "$release: no such directory"
  cp -R -H -p "$release" "$new" || exit 1
else
  mkdir "$new" || exit 1
fi
for component in "$@"; do
  [ -e "$component" ] || fail "$component: no such file or directory"
  base=${component##*/}
  if [ -e "$new/$base" ] || [ "$base" = MANIFEST ]; then
    fail "$component: the archive holds another $base"
  fi
  cp -R -H -p "$component" "$new/$base" || exit 1
done
cd -P "$new" || exit 1
rm -f MANIFEST
sha256_of_all >"$temp/sums" || exit 1
sort -k 2 "$temp/sums" >MANIFEST || exit 1
cd / || exit 1
changed=
if [ -e "$dir/$name" ]; then
  cmp -s "$new/MANIFEST" "$dir/$name/MANIFEST" || fail "$dir/$name exists already, with other contents"
else
  rename "$new" "$dir/$name" || exit 1
  changed=yes
fi
if [ "$depth" -gt 0 ]; then
  IFS='
'
  newest=$(ls -1t "$dir"/*/MANIFEST) || exit 1
  set -f
  kept=0
  for manifest in $newest; do
    old=${manifest%/MANIFEST}
    kept=$((kept + 1))
    if [ "$kept" -le "$depth" ] || [ "$old" = "$dir/$name" ] || [ ! -f "$manifest" ] || [ -L "$old" ]; then
      continue
    fi
    rename "$old" "$temp/old" || exit 1
    rm -rf "$temp/old" || exit 1
    printf '%s\n' "removed $old"
    changed=yes
  done
fi
[ -n "$changed" ] || exit 80
exit 0
