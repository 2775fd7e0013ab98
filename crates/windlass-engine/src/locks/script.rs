//! The programs that act on a host's lock.
//!
//! A lock is a directory of numbered entries, of which the highest counts. An entry is one line in a file that was
//! written elsewhere and is linked to the next free number: that happens whole or not at all, and only one of many can
//! do it. So every change, whether taking, renewing or releasing, is a comparison with the entry that was read and an
//! exchange of it for the next. The last few entries stay: a program that was held up for so long that its number was
//! taken and removed again finds a higher one, and knows.
//!
//! `pids/PID` names the shells that do a run's work, each with the time of its start, so that a number that the
//! system gave to another process is not taken for it. A shell works when it has a child.
//!
//! Tried with dash, bash, mksh and busybox.

use windlass_model::ids::RunId;

use super::Claim;

/// The exit status of a guard that does not find its run's lock.
pub(super) const NOT_OURS: i32 = 75;

/// What the lock is for.
const SCOPE: &str = "deploy";

/// Where the lock is, what stands in it, and how it is changed. It lies in the user's state directory, or below
/// `/var/tmp/windlass-UID` where the user has none. The machine's name is part of the path: home directories may be
/// shared.
const COMMON: &str = r#"w_now=$(date +%s)
w_doing=
w_no() { printf 'no %s\n' "$1"; exit 1; }
w_find() {
w_d=$1/lock/SCOPE@$w_host
[ -d "$w_d/pids" ] || { [ -z "$w_only_look" ] && ( umask 077; mkdir -p "$w_d/pids" ) 2>/dev/null; }
}
w_host=$(uname -n) w_h=
case ${XDG_STATE_HOME:-} in
/*) w_h=$XDG_STATE_HOME/windlass;;
*) case ${HOME:-} in /?*) w_h=$HOME/.local/state/windlass;; esac;;
esac
if [ -z "$w_h" ] || ! w_find "$w_h"; then
w_t=/var/tmp/windlass-$(id -u)
[ -n "$w_only_look" ] || ( umask 077; mkdir "$w_t" ) 2>/dev/null
if [ -d "$w_t" ] && [ -O "$w_t" ] && [ ! -L "$w_t" ] && w_find "$w_t"; then :
elif [ -z "$w_only_look" ]; then w_no "nothing can be kept in ${w_h:-a home directory} or $w_t"
fi
fi
w_say() {
printf 'now %s\ndir %s\nis %s\nat %s\nentry %s\n' "$w_now" "$w_d" "$1" "$w_n" \
"$w_tok $w_st $w_exp $w_tak $w_run $w_pid $w_by"
for w_p in $w_doing; do printf 'busy %s %s\n' "${w_p#*=}" "${w_p%%=*}"; done
exit 0
}
w_top() {
w_try=0
while [ $w_try -lt 50 ]; do
w_try=$((w_try+1))
for w_f in "$w_d"/1?????????; do :; done
w_tok=- w_st=free w_exp=0 w_tak=0 w_run=- w_pid=0 w_by=- w_v= w_x=
w_n=${w_f##*/}
case $w_n in *[!0-9]*) w_n=1000000000; return;; esac
{ read -r w_v w_tok w_st w_exp w_tak w_run w_pid w_by w_x; } 2>/dev/null <"$w_f"
case "$w_v $w_x $w_st" in 'w1 . held'|'w1 . taking'|'w1 . free') return;; esac
[ -e "$w_f" ] && break
done
w_tok=- w_st=torn w_exp=0 w_tak=0 w_run=- w_pid=0 w_by=-
}
w_put() {
w_m=$((w_n+1)) w_t=$w_d/.new-$w_me-$$
{ printf '%s\n' "w1 $* ." >"$w_t"; } 2>/dev/null || w_no "cannot write in $w_d"
sync "$w_t" 2>/dev/null
ln "$w_t" "$w_d/$w_m" 2>/dev/null
w_s=$?
rm -f "$w_t"
[ $w_s = 0 ] || return 1
for w_f in "$w_d"/1?????????; do :; done
[ "${w_f##*/}" = "$w_m" ] && return 0
rm -f "$w_d/$w_m"
return 1
}
w_tidy() {
set -- "$w_d"/1?????????
while [ $# -gt 16 ]; do rm -f "$1"; shift; done
}
w_alive() {
if [ -r /proc/$$/stat ]; then
{ read -r w_l; } 2>/dev/null <"/proc/$1/stat" || return 1
set -- "$2" ${w_l##*) }
[ "$2" != Z ] && { [ "$1" = - ] || [ "$1" = "${21}" ]; }
else ps -p "$1" >/dev/null 2>&1; fi
}
w_look() {
w_not=$1 w_list= w_doing=
for w_p in "$w_d"/pids/[0-9]*; do
w_or=- w_os=-
{ read -r w_or w_os; } 2>/dev/null <"$w_p" || [ -e "$w_p" ] || continue
[ "$w_or" = "$w_not" ] && continue
w_alive "${w_p##*/}" "$w_os" && w_list="$w_list ${w_p##*/}=$w_or"
done
[ -n "$w_list" ] || return 1
w_parents=' '
if [ -r /proc/$$/stat ]; then
for w_p in /proc/[0-9]*/stat; do
{ read -r w_l; } 2>/dev/null <"$w_p" || continue
set -- ${w_l##*) }
[ "$1" = Z ] || w_parents="$w_parents$2 "
done
else w_parents=" $(ps -A -o ppid= | tr '\n' ' ') "; fi
for w_p in $w_list; do
case $w_parents in *" ${w_p%%=*} "*) w_doing="$w_doing $w_p";; esac
done
[ -n "$w_doing" ]
}
w_forget() {
for w_p in "$w_d"/pids/[0-9]*; do
case " $w_list " in *" ${w_p##*/}="*) ;; *) rm -f "$w_p"; continue;; esac
case " $w_doing " in *" ${w_p##*/}="*) continue;; esac
w_or=-
{ read -r w_or w_os; } 2>/dev/null <"$w_p"
[ "$w_or" = "$1" ] && rm -f "$w_p"
done
}
"#;

const TAKE: &str = r#": windlass-lock take
w_i=0
while [ $w_i -lt 30 ]; do
w_i=$((w_i+1))
w_top
w_over=
case $w_st in
torn) w_say torn;;
held|taking) if [ "$w_run" != "$w_r" ] && [ "$w_run" != "$w_r0" ]; then
[ "$w_now" -lt "$w_exp" ] && w_say held
w_over=1
fi;;
esac
w_look "$w_r" && w_say busy
w_was="$w_tok $w_st $w_exp $w_tak $w_run $w_pid $w_by"
w_put "$w_me $w_as $((w_now+w_lease)) $w_now $w_r $w_p0 $w_b" || continue
if [ -n "$w_list" ]; then
for w_k in 1 2 3; do
sleep 0.05 2>/dev/null || sleep 1
w_look "$w_r" || continue
w_n=$w_m
w_put "$w_was" || continue 2
w_top
w_say busy
done
fi
rm -f "$w_d"/.new-*
w_look ''
w_forget -
w_doing=
w_tidy
w_n=$w_m
[ -n "$w_over" ] && w_say over
w_say taken
done
w_no "cannot write in $w_d: it has no hard links, or too many want the lock"
"#;

const RENEW: &str = r#": windlass-lock renew
w_i=0
while [ $w_i -lt 30 ]; do
w_i=$((w_i+1))
w_top
case "$w_tok $w_st" in "$w_me held"|"$w_me taking") ;; *) w_say lost;; esac
w_put "$w_me held $((w_now+w_lease)) $w_tak $w_run $w_pid $w_by" || continue
w_tidy
w_say renewed
done
w_no "cannot write in $w_d"
"#;

const RELEASE: &str = r#": windlass-lock release
w_i=0
while [ $w_i -lt 30 ]; do
w_i=$((w_i+1))
w_top
[ "$w_tok" = "$w_me" ] || w_say lost
w_look ''
w_forget "$w_run"
w_doing=
[ "$w_st" = free ] && w_say released
w_put "$w_me free 0 $w_now $w_run $w_pid $w_by" || continue
w_tidy
w_say released
done
w_no "cannot write in $w_d"
"#;

const SHOW: &str = ": windlass-lock show\nw_top\nw_look ''\nw_say shown\n";

const UNLOCK: &str = r#": windlass-lock unlock
w_i=0
while [ $w_i -lt 30 ]; do
w_i=$((w_i+1))
w_top
if [ "$w_st" = torn ]; then [ "$w_n" = "$w_wn" ] || w_say changed
else [ "$w_tok" = "$w_want" ] || w_say changed; fi
w_look '' && [ -z "$w_force" ] && w_say busy
[ -z "$w_force" ] || rm -f "$w_d"/pids/[0-9]*
w_put "- free 0 $w_now - 0 -" || continue
w_tidy
w_doing=
w_say released
done
w_no "cannot write in $w_d"
"#;

/// Takes the lock for a run, unless another run has it or still works on the host. `one_of_many`: the run may give it
/// back at once, for it takes others too; renewing it ends that.
pub(super) fn take(claim: &Claim, token: &str, one_of_many: bool) -> String {
    let state = if one_of_many { "taking" } else { "held" };
    let names = format!(
        "w_as={state} w_r={} w_r0={} w_p0={} w_b={}\n",
        word(claim.run.as_str()),
        word(claim.after.as_ref().map_or("-", RunId::as_str)),
        claim.pid,
        word(&claim.by)
    );
    program(&[&ours(claim, token), &names], TAKE)
}

/// Makes it last longer.
pub(super) fn renew(claim: &Claim, token: &str) -> String {
    program(&[&ours(claim, token)], RENEW)
}

/// Gives it back.
pub(super) fn release(claim: &Claim, token: &str) -> String {
    program(&[&ours(claim, token)], RELEASE)
}

/// Says what stands there.
pub(super) fn show() -> String {
    program(&["w_only_look=1\n"], SHOW)
}

/// Gives back what [`show`] showed, whoever has it; where work is going on only by `force`.
pub(super) fn unlock(token: &str, at: u64, force: bool) -> String {
    let force = if force { "1" } else { "" };
    let shown = format!(
        "w_me=unlock w_want={} w_wn={at} w_force={force}\n",
        word(token)
    );
    program(&[&shown], UNLOCK)
}

/// Ends with 0 where the lock in `directory` is held under `token`, otherwise with [`NOT_OURS`], and notes the shell that
/// it runs in as one of the run's. `as_root`: with the rights of root, who may be kept out of home directories that
/// are shared over a network: then it cannot know, and lets the work go on.
pub(super) fn guard(directory: &str, run: &str, token: &str, as_root: bool) -> String {
    let root = if as_root {
        "[ -d \"$w_d\" ] || exit 0\n"
    } else {
        ""
    };
    format!(
        r#": windlass-lock guard
w_d={directory}
{root}w_s=- w_r=
[ -r /proc/$$/stat ] && read -r w_l </proc/$$/stat && set -- ${{w_l##*) }} && w_s=${{20}}
{{ read -r w_r; }} 2>/dev/null <"$w_d/pids/$$"
[ "$w_r" = "{run} $w_s" ] || {{ umask 022; printf '%s\n' "{run} $w_s" >"$w_d/pids/$$"; }} 2>/dev/null
for w_f in "$w_d"/1?????????; do :; done
w_t= w_st=
{{ read -r w_v w_t w_st w_r; }} 2>/dev/null <"$w_f"
case "$w_t $w_st" in "{token} held"|"{token} taking") ;; *) exit {NOT_OURS};; esac
"#,
        directory = quote(directory),
    )
}

fn ours(claim: &Claim, token: &str) -> String {
    format!("w_me={} w_lease={}\n", word(token), claim.lease.as_secs())
}

fn program(names: &[&str], body: &str) -> String {
    let common = COMMON.replace("SCOPE", SCOPE);
    format!("{}{common}{body}", names.concat())
}

/// One word that holds nothing special: what it is made of must be read back between blanks.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@._+:-".contains(c);
    let made: String = text
        .chars()
        .take(200)
        .map(|c| if plain(c) { c } else { '_' })
        .collect();
    if made.is_empty() { "-".into() } else { made }
}

fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
