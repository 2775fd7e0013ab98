//! Work that outlives the link: begun at most once under its name, its output in files, its statuses recorded.
//!
//! A run has a directory on the host, of the user whose rights the work has:
//! `${XDG_STATE_HOME:-~/.local/state}/windlass/kept/RUN/`, or `/var/tmp/windlass-UID/kept/RUN/` where there is no home
//! that can be written to; mode 0700. In it, for steps N counted from 0 over an attempt:
//!
//! | file | what it says |
//! | --- | --- |
//! | `boot` | the id of the boot that the run began in here |
//! | `TASK-ATTEMPT.N.begun` | the fence of a batch that begins with step N: how many steps, and who does them |
//! | `TASK-ATTEMPT.N.out`, `.err` | what step N printed |
//! | `TASK-ATTEMPT.N.status` | its exit status, then `on`, or `end` when its batch ends with it |
//!
//! A line without its newline is not there yet, so nothing needs to be renamed. Fences are not synced, statuses are: a fence
//! that a crash took with it is missed because `boot`, which is synced before the first of them, names another boot.
//!
//! The journals of a machine that Windlass runs on lie in `windlass/runs`, beside.

mod begin;
mod live;
mod recall;
#[cfg(test)]
mod tests;

pub(crate) use begin::{Fence, begin, functions, step_end};
pub(crate) use live::follow;
pub(crate) use recall::{forget, recall};

use windlass_engine::host::Keep;
use windlass_model::ids::TaskId;

/// How much of each stream is shown and given back, in bytes.
pub(crate) const SHOWN: usize = 1024 * 1024;

/// What the files of an attempt begin with.
pub(crate) fn name(keep: &Keep, task: TaskId) -> String {
    format!("{task}-{}", keep.attempt)
}

/// Sets `w_h` to the first place where the host may keep things: empty where there is no home. `w_other` sets it to
/// the second.
const PLACES: &str = r#"w_h=
case ${XDG_STATE_HOME:-} in
/*) w_h=$XDG_STATE_HOME/windlass/kept;;
*) case ${HOME:-} in /?*) w_h=$HOME/.local/state/windlass/kept;; esac;;
esac
w_other() { w_h=/var/tmp/windlass-$(id -u); [ -d "$w_h" ] && [ -O "$w_h" ] && [ ! -L "$w_h" ] || return 1; w_h=$w_h/kept; }
"#;

/// `w_boot` is the id of this boot, `-` where none is told; `w_start PID` sets `w_t` to when a process began, in ticks since
/// then, and `w_z` to its state: empty when there is none, `-` both where there is no /proc.
const PROCESSES: &str = r#"w_boot=-
{ read -r w_boot </proc/sys/kernel/random/boot_id; } 2>/dev/null
w_start() {
w_l=
[ -r /proc/$$/stat ] || { w_t=- w_z=-; return; }
{ read -r w_l <"/proc/$1/stat"; } 2>/dev/null
set -- ${w_l##*) }
w_z=${1:-} w_t=${20:-}
}
"#;
