# $source, $out, $revisions, $from (tag, file, describe, revision), $tag, $file
case $from in
  tag) said=$tag ;;
  file)
    [ -f "$source/$file" ] || fail "the source has no file $file, which has the version"
    inside "$source" "$source/$file"
    said=$(head -n 1 "$source/$file" | tr -d '\r') || exit 1
    ;;
  describe)
    command -v git >/dev/null 2>&1 || fail "this host has no git"
    said=$(git -C "$source" describe --tags --always) || exit 1
    ;;
  revision)
    said=$(head -n 1 "$revisions") || exit 1
    case $said in
      '') fail "the source has no revision: take the version from elsewhere" ;;
      *[!0-9]*) said=$(printf '%s\n' "$said" | cut -c 1-12) ;;
      ????????????????????????????????????????*) said=$(printf '%s\n' "$said" | cut -c 1-12) ;;
      *) said=r$said ;;
    esac
    ;;
esac
version=$(printf '%s\n' "$said" | sed -e 's/^[[:space:]]*//' -e 's/[[:space:]]*$//' -e 's/[^A-Za-z0-9._+~-]/-/g' -e 's/^[.-]*//' | cut -c 1-128)
[ -n "$version" ] || fail "\"$said\" is no version"
make_temp "${out%/*}"
printf '%s\n' "$version" >"$temp/version" || exit 1
rename "$temp/version" "$out" || exit 1
printf '%s\n' "$version"
exit 0
