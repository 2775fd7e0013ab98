# mount_point PATH: of the file system that PATH lies in.
mount_point() {
  df -P "$1" 2>/dev/null | sed -n '2s/^.*[0-9-]%\{0,1\} \{1,\}\(\/.*\)$/\1/p'
}
# guard DIR: fails when the directory is /, somebody's home or above the user's, or where something is mounted.
guard() {
  guarded=$(cd -P "$1" && pwd -P) || exit 1
  home=$(cd -P "${HOME:-/}" 2>/dev/null && pwd -P)
  case $guarded in
    /) fail "$1 is /, which is never emptied or removed" ;;
  esac
  case $home/ in
    "$guarded"/*) fail "$1 is a home directory or holds one ($home): it is never emptied or removed" ;;
  esac
  if [ -r /etc/passwd ]; then
    while IFS=: read -r user _ _ _ _ home _; do
      if [ "$home" = "$guarded" ] || [ "$home" = "$1" ]; then
        fail "$1 is the home directory of $user: it is never emptied or removed"
      fi
    done </etc/passwd
  fi
  if [ "$(mount_point "$guarded")" = "$guarded" ]; then
    fail "a file system is mounted on $1: it is never emptied or removed"
  fi
}
