mv_knows=
# rename FROM TO: in one file system; a file or link at TO is replaced, a link never followed.
rename() {
  [ -n "$mv_knows" ] || mv_knows=$(mv --help 2>&1 | grep -c -e '-T')
  if [ "$mv_knows" -gt 0 ]; then
    # busybox does not put a file in the place of a link to a directory
    if [ -L "$2" ] && [ -d "$2" ] && [ ! -L "$1" ] && [ ! -d "$1" ]; then
      mv -fT "$1" "$2" 2>/dev/null && return
      rm -f "$2" || return
    fi
    mv -fT "$1" "$2"
  elif [ -L "$2" ]; then
    mv -fh "$1" "$2" 2>/dev/null || { rm -f "$2" && mv -f "$1" "$2"; }
  elif [ -d "$2" ]; then
    printf '%s\n' "$2 is a directory" >&2
    return 1
  else
    mv -f "$1" "$2"
  fi
}
# swap FROM TO: like rename, but TO may be a directory. It goes to $temp, and comes back when FROM cannot take its place.
swap() {
  trap '' HUP INT PIPE TERM
  rename "$2" "$temp/old" || exit 1
  if ! rename "$1" "$2"; then
    rename "$temp/old" "$2" || {
      kept=$temp
      temp=
      fail "$2 could not be put back; it is $kept/old"
    }
    exit 1
  fi
  trap 'exit 143' HUP INT PIPE TERM
}
