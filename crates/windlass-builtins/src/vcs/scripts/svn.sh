# $url, $user, $password (yes or nothing), $externals (yes or nothing), $kind, $name, $number, $to, $out
need svn
SVN_SSH=${SVN_SSH:-ssh -oBatchMode=yes}
export SVN_SSH
# Names that are no ASCII want a locale that has them.
utf8=$(locale -a 2>/dev/null | grep -i -e '^C\.utf-\{0,1\}8$' -e '^en_US\.utf-\{0,1\}8$' | head -n 1)
LC_ALL=${utf8:-C}
if [ -n "$password" ]; then
  # Newer ones tell of options that all commands have only when asked for more; older ones do not know the question.
  { svn help -v export || svn help export; } 2>/dev/null | grep -q -e --password-from-stdin ||
    fail "this host's svn is older than 1.10: it cannot be given a password safely"
fi
run() {
  if [ -n "$password" ]; then
    printf '%s\n' "$WINDLASS_VCS_PASSWORD" |
      svn --non-interactive --no-auth-cache --username "$user" --password-from-stdin "$@" 2>"$temp/said"
  elif [ -n "$user" ]; then
    svn --non-interactive --no-auth-cache --username "$user" "$@" 2>"$temp/said"
  else
    svn --non-interactive --no-auth-cache "$@" 2>"$temp/said"
  fi
}
explain() {
  cat "$temp/said" >&2
  fail "$(grep '^svn: ' "$temp/said" | head -n 1)"
}
peg=${number:-HEAD}
changed_in() {
  run info --show-item last-changed-revision -r "$peg" -- "$1@$peg"
}
root=${url%/trunk}
case $kind in
  trunk) target=$root/trunk ;;
  branch) target=$root/branches/$name ;;
  tag) target=$root/tags/$name ;;
esac
if ! changed=$(changed_in "$target"); then
  [ "$kind" = trunk ] || explain
  # Not there is one thing, not let in another.
  grep -q -e E170000 -e E200009 -e W160013 -e E160013 -e W170000 "$temp/said" || explain
  target=$url
  changed=$(changed_in "$target") || explain
fi
ignore=--ignore-externals
[ -z "$externals" ] || ignore=
# One program after the other may see two revisions: the one that was looked at is had.
at=${number:-$changed}
run export -q $ignore -r "$at" -- "$target@$at" "$temp/new" >&2 || explain
[ -d "$temp/new" ] || fail "$target is no directory"
land "$at"
exit 0
