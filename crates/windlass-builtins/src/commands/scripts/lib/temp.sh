# make_temp DIR: $temp, a fresh directory in DIR that is gone when the script ends.
temp=
drop_temp() {
  if [ -n "$temp" ]; then
    find "$temp" -type d ! -perm -700 -exec chmod u+rwx {} \; 2>/dev/null
    rm -rf "$temp"
  fi
}
make_temp() {
  temp=$(mktemp -d "$1/.windlass.XXXXXX") || exit 1
  trap drop_temp EXIT
  trap 'exit 143' HUP INT PIPE TERM
}
