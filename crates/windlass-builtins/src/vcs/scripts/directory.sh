# $from, $to, $out
[ -d "$from" ] || fail "$from: no such directory"
inside=$(cd -P "$from" && pwd -P) || exit 1
work=$(cd -P "${to%/*}/" && pwd -P) || exit 1
case $work/ in
  "${inside%/}"/*) fail "$from holds the directory that it would be copied to ($to)" ;;
esac
odd=$(find "$inside" ! -type f ! -type d ! -type l -print | head -n 1) || exit 1
[ -z "$odd" ] || fail "$odd is neither a file, nor a directory, nor a link"
mkdir "$temp/new" || exit 1
cp -R -P -p "$inside/." "$temp/new" || exit 1
cd "$temp/new" || exit 1
if command -v sha256sum >/dev/null 2>&1; then
  sum() { sha256sum "$@"; }
  program=sha256sum
else
  need shasum
  sum() { shasum -a 256 "$@"; }
  program='shasum -a 256'
fi
{
  # shellcheck disable=SC2086
  find . \( -name .git -o -name .svn -o -name .hg \) -prune -o -type f -exec $program {} + | sort
  find . \( -name .git -o -name .svn -o -name .hg \) -prune -o -type l -print | sort | while IFS= read -r link; do
    printf '%s -> %s\n' "$link" "$(readlink "$link")"
  done
} >"$temp/all" || exit 1
digest=$(sum <"$temp/all") || exit 1
cd / || exit 1
land "${digest%% *}"
exit 0
