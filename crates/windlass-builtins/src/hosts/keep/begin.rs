//! What a shell does before and after a kept step.

use super::{LOST, NOW, PLACES, PROCESSES, SHOWN, SYNC};
use crate::hosts::script::{DEAF, mark};

/// The fence of a batch.
pub(crate) struct Fence {
    /// See [`super::name`].
    pub(crate) name: String,
    /// The number of its first step in the attempt.
    pub(crate) from: usize,
    /// How many steps it has.
    pub(crate) count: usize,
}

/// The program that makes a run's directory, if it is not there. `is_awaited`: it should be. That it cannot is found when
/// something is to be begun.
pub(crate) fn make(directory: &str, is_awaited: bool) -> String {
    let boot = if is_awaited { LOST } else { "$w_boot" };
    format!(
        r#": windlass-keep {directory}
{PLACES}{PROCESSES}w_find "{directory}" || {{
if [ -n "$w_h" ] && ( umask 077; mkdir -p "$w_h/{directory}" ) 2>/dev/null; then w_d=$w_h/{directory}
else
( umask 077; mkdir "/var/tmp/windlass-$(id -u)" ) 2>/dev/null
w_other && ( umask 077; mkdir -p "$w_o/{directory}" ) 2>/dev/null && w_d=$w_o/{directory}
fi
}}
if [ -n "$w_d" ] && [ ! -e "$w_d/boot" ]; then
set -C; {{ echo "{boot}" >"$w_d/boot"; }} 2>/dev/null; set +C
fi
exit 0
"#
    )
}

/// How many digits the size has of what is shown by the shell itself: to start a program takes longer than to do anything else of a
/// step. A shell reads a byte at a time, and not all bytes; so what it read counts only when all of it is there.
const SHORT: &str = "???";

/// What a shell must have before the first kept batch of `run`: `w_d` is the run's directory.
pub(crate) fn functions(nonce: &str, directory: &str) -> String {
    let refused = mark(nonce, "r $1");
    let fenced = mark(nonce, "f $1");
    let most = SHOWN + 1;
    format!(
        r#"{PLACES}{PROCESSES}{SYNC}{NOW}w_find "{directory}"
[ -w "$w_d" ] || w_d=
w_start $$; w_me="$$ ${{w_t:--}} $w_boot"
[ "$w_g" = $$ ] || w_start "$w_g"
w_me="$w_g ${{w_t:--}} $w_me"
w_refuse() {{
w_go=0
echo "nothing can be kept in ${{w_d:-${{w_h:-a home directory}}/{directory} or /var/tmp}}" >&2
{refused}return 1
}}
w_begin() {{
[ -n "$w_d" ] || {{ w_refuse $1; return 1; }}
w_k=$w_d/$2
set -C
if {{ echo "$4 $w_me" >"$w_k.$3.begun"; }} 2>/dev/null; then
set +C
[ "$w_boot" != - ] || w_sync "$w_k.$3.begun"
w_now
w_b=$w_u
return 0
fi
set +C
[ -s "$w_k.$3.begun" ] || sleep 1
[ -s "$w_k.$3.begun" ] || {{ w_refuse $1; return 1; }}
w_go=0
{fenced}exit {DEAF}
}}
w_end() {{
w_now
if {{ echo "$w_s $w_e" >"$w_k.$1.status"; }} 2>/dev/null; then
[ -n "$w_u" ] && [ "$w_u" = "$w_b" ] || w_sync "$w_k.$1.status"
fi
w_b=$w_u
w_show "$w_k.$1.out" "$w_p"
w_show "$w_k.$1.err" "$w_q" >&2
}}
w_ended() {{
w_s=$1 w_p= w_q=
{{ read -r w_l w_p <"/proc/$$/fdinfo/8"; read -r w_l w_q <"/proc/$$/fdinfo/9"; }} 2>/dev/null
}}
w_show() {{
[ -s "$1" ] || return 0
case ${{2:--}} in
*[!0-9]*|{SHORT}?*) ;;
*) w_x=
while IFS= read -r w_l; do w_x="$w_x$w_l
"; done <"$1"
w_x=$w_x$w_l
[ ${{#w_x}} != "$2" ] || {{ printf %s "$w_x"; return; }};;
esac
head -c {most} "$1"
}}
"#
    )
}

/// Goes through the fence, or ends the batch: with the mark `r ID` where nothing can be kept, with `f ID`, and the shell,
/// where it was begun before.
pub(crate) fn begin(id: u64, fence: &Fence) -> String {
    let Fence { name, from, count } = fence;
    format!("w_begin {id} {name} {from} {count} || return 0\n")
}

/// The program `run` as step `number`: what it prints goes to files. Their sizes are where it stopped to write.
pub(crate) fn step(number: usize, run: &str) -> String {
    format!(
        "w_s=2\n{{ {run} >&8 2>&9 8>&- 9>&-\nw_ended $?\n}} 8>\"$w_k.{number}.out\" 9>\"$w_k.{number}.err\"\n"
    )
}

/// Records the status `$w_s` of step `number`, then shows what it printed. `wanted` is a pattern of `case`.
pub(crate) fn step_end(number: usize, wanted: &str, is_last: bool) -> String {
    let goes_on = if is_last { "end" } else { "on" };
    format!("case $w_s in {wanted}) w_e={goes_on};; *) w_e=end;; esac\nw_end {number}\n")
}
