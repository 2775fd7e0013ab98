# $dir
[ -d "$dir" ] || exit 80
space=' '
tab=$(printf '\t')
line='
'
for link in "$dir"/*; do
  if [ ! -L "$link" ] || [ ! -e "$link" ]; then
    continue
  fi
  service=${link##*/}
  target=$(readlink "$link") || exit 1
  target=${target%/}
  target=${target##*/}
  case $target in
    "$service"_?*) version=${target#"$service"_} ;;
    "$service"-?*) version=${target#"$service"-} ;;
    *) continue ;;
  esac
  case $service$version in
    *"$space"* | *"$tab"* | *"$line"*) continue ;;
  esac
  printf '%s %s\n' "$service" "$version"
done
exit 80
