# inside DIR PATH: fails when PATH, its links followed, lies outside of DIR.
inside() {
  inside_dir=$(cd -P "$1" && pwd -P) || exit 1
  inside_path=$(readlink -f "$2") || fail "$2: no such file"
  case $inside_path/ in
    "${inside_dir%/}"/*) ;;
    *) fail "$2 leads outside of $1" ;;
  esac
}
