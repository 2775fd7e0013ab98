# $dir
[ -d "$dir" ] || fail "$dir: no such directory"
ls -1A "$dir/" || exit 1
exit 80
