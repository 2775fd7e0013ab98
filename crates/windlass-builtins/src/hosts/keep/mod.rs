//! Work that outlives the link: begun at most once under its name, its output in files, its statuses recorded.
//!
//! A run has a directory on the host, of the user whose rights the work has:
//! `${XDG_STATE_HOME:-~/.local/state}/windlass/kept/RUN@HOST/`, or `/var/tmp/windlass-UID/kept/RUN@HOST/` where there is no home
//! that can be written to; mode 0700. In it, for steps N counted from 0 over an attempt:
//!
//! | file | what it says |
//! | --- | --- |
//! | `boot` | the id of the boot that the run began in here |
//! | `TASK-ATTEMPT.N.begun` | the fence of a batch that begins with step N: how many steps, and who does them |
//! | `TASK-ATTEMPT.N.out`, `.err` | what step N printed |
//! | `TASK-ATTEMPT.N.status` | its exit status, then `on`, or `end` when its batch ends with it |
//!
//! The directory is made, and heard to be there, before the journal says that any such work was sent: so an attempt without a fence
//! in a directory was not begun, and where there is no directory what was kept is lost. Only [`make`] makes it, so that one that
//! was lost does not come back empty; one that is made anew while something should be in it has `lost` for a boot.
//!
//! A line without its newline is not there yet, so nothing needs to be renamed. Fences are not synced, nor is `boot`: after a crash of
//! the host, which may have taken any of them with it, no `boot` names the boot that is, so no fence counts as missing. Where no
//! boot has an id, fences are synced. A status is synced unless it comes in the second in which its step began: then whoever sent
//! the step still hears it, or the host crashes right after the link was lost, and what came of the step is unknown, which is
//! never wrong.
//!
//! The journals of a machine that Windlass runs on lie in `windlass/runs`, beside.

mod begin;
mod forget;
mod live;
mod recall;
#[cfg(test)]
mod tests;

pub(crate) use begin::{Fence, begin, functions, make, step, step_end};
pub(crate) use forget::forget;
pub(crate) use live::follow;
pub(crate) use recall::recall;

use windlass_engine::host::Keep;
use windlass_model::ids::TaskId;

/// How much of each stream is shown and given back, in bytes.
pub(crate) const SHOWN: usize = 1024 * 1024;

/// What the files of an attempt begin with.
pub(crate) fn name(keep: &Keep, task: TaskId) -> String {
    format!("{task}-{}", keep.attempt)
}

/// Sets `w_h` to the first place where the host may keep things: empty where there is no home. `w_other` sets `w_o` to the
/// second, if there is one and it is nobody else's; no process is started to find that out. `w_find RUN` sets `w_d` to the
/// directory of a run, if there is one.
const PLACES: &str = r#"w_h=
case ${XDG_STATE_HOME:-} in
/*) w_h=$XDG_STATE_HOME/windlass/kept;;
*) case ${HOME:-} in /?*) w_h=$HOME/.local/state/windlass/kept;; esac;;
esac
w_other() {
for w_o in /var/tmp/windlass-[0-9]*; do
[ -d "$w_o" ] && [ -O "$w_o" ] && [ ! -L "$w_o" ] || continue
w_o=$w_o/kept
return 0
done
return 1
}
w_find() {
w_d=
if [ -n "$w_h" ] && [ -d "$w_h/$1" ]; then w_d=$w_h/$1
elif w_other && [ -d "$w_o/$1" ]; then w_d=$w_o/$1
else return 1; fi
}
"#;

/// The boot of a directory that was made anew: what had been kept before is lost.
const LOST: &str = "lost";

/// `w_y` is set where files can be synced one by one.
const SYNC: &str = r#"w_y=
! command -v sync >/dev/null 2>&1 || w_y=1
w_sync() { [ -z "$w_y" ] || sync "$1" 2>/dev/null; }
"#;

/// `w_now` sets `w_u` to the seconds since the boot; to nothing where they are not told.
const NOW: &str = r#"w_now() { w_u=; { read -r w_u w_l </proc/uptime; } 2>/dev/null; w_u=${w_u%%.*}; }
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
