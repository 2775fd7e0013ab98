# $url, $base (where the credentials go to, or nothing), $kind, $name, $revision, $history (yes or nothing), $to, $out
need git
for variable in $(git rev-parse --local-env-vars); do
  unset "$variable"
done
GIT_TERMINAL_PROMPT=0
GIT_ALLOW_PROTOCOL=file:git:http:https:ssh
GIT_SSH_COMMAND=${GIT_SSH_COMMAND:-ssh -oBatchMode=yes}
export GIT_TERMINAL_PROMPT GIT_ALLOW_PROTOCOL GIT_SSH_COMMAND
# No window and no terminal is asked.
unset DISPLAY SSH_ASKPASS
GIT_ASKPASS=
export GIT_ASKPASS
run() {
  if [ -n "$base" ]; then
    git -c core.hooksPath=/dev/null -c core.autocrlf=false -c advice.detachedHead=false -c gc.auto=0 \
      -c "credential.$base.helper=" \
      -c "credential.$base.helper=!f() { [ \"\$1\" != get ] || printf 'username=%s\\npassword=%s\\n' \"\$WINDLASS_VCS_USERNAME\" \"\$WINDLASS_VCS_PASSWORD\"; }; f" \
      "$@"
  else
    git -c core.hooksPath=/dev/null -c core.autocrlf=false -c advice.detachedHead=false -c gc.auto=0 "$@"
  fi
}
# try WORD...: git, its complaints in $temp/said
try() {
  run "$@" 2>"$temp/said"
}
explain() {
  cat "$temp/said" >&2
  said=$(grep -e '^fatal: ' -e '^error: ' -e '^remote: ' "$temp/said" | head -n 1)
  fail "$url: ${said:-$(tail -n 1 "$temp/said")}"
}
must() {
  try "$@" || explain
}
case $kind in
  trunk) ref=HEAD ;;
  branch) ref=refs/heads/$name ;;
  tag) ref=refs/tags/$name ;;
esac
# --template= : no hooks of the machine's
must init -q --template= "$temp/new"
cd "$temp/new" || exit 1
everything() {
  must fetch -q --tags --force -- "$url" '+refs/heads/*:refs/remotes/origin/*'
}
if [ -z "$revision" ]; then
  if [ -n "$history" ]; then
    everything
    must fetch -q -- "$url" "$ref"
  else
    must fetch -q --no-tags --depth 1 -- "$url" "$ref"
  fi
  commit=$(run rev-parse --verify -q "FETCH_HEAD^{commit}") || fail "$url: $ref is no commit"
else
  commit=
  if [ -z "$history" ] && [ "$kind" = trunk ] && [ "${#revision}" -ge 40 ]; then
    # Many servers hand out any commit; one that does not is asked for all.
    if try fetch -q --no-tags --depth 1 -- "$url" "$revision"; then
      commit=$(run rev-parse --verify -q "$revision^{commit}")
    fi
  fi
  if [ -z "$commit" ]; then
    everything
    commit=$(run rev-parse --verify -q "$revision^{commit}") || fail "$url: there is no commit $revision, or several begin so"
    if [ "$kind" != trunk ]; then
      must fetch -q -- "$url" "$ref"
      run merge-base --is-ancestor "$commit" FETCH_HEAD || fail "$url: commit $revision is not in $kind $name"
    fi
  fi
fi
must checkout -q --detach "$commit" --
rm -f .git/FETCH_HEAD
cd / || exit 1
land "$commit"
exit 0
