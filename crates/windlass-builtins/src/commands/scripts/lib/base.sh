# What every script begins with. No `set -e`: where a script runs as part of a condition, sh ignores it.
# Paths are absolute or begin with `./`, so none is taken for an option.
LC_ALL=C
export LC_ALL
unset CDPATH
fail() {
  printf '%s\n' "$*" >&2
  exit 1
}
