# absent PATH: nothing is there, not even a link. A path that cannot be looked at is a failure, not an absence.
absent() {
  absent_said=$(ls -ld "$1" 2>&1) && return 1
  case $absent_said in
    *'No such file'* | *'Not a directory'* | *'not found'*) return 0 ;;
  esac
  fail "$absent_said"
}
