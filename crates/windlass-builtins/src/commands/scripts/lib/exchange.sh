# exchange A B: both exist, and change places in one step; false where this system cannot do that.
exchange() {
  if mv --help 2>&1 | grep -q -e '--exchange'; then
    mv --exchange -T "$1" "$2" 2>/dev/null && return
  fi
  command -v python3 >/dev/null 2>&1 || return 1
  python3 -c 'import ctypes, os, sys
names = [os.fsencode(name) for name in sys.argv[1:]]
sys.exit(ctypes.CDLL(None).renameat2(-100, names[0], -100, names[1], 2) != 0)
' "$1" "$2" 2>/dev/null
}
