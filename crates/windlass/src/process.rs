//! Processes of this machine.

use windlass_model::event::Process;

/// This process.
pub(crate) fn this() -> Process {
    let pid = std::process::id();
    Process {
        pid,
        started: started(pid),
    }
}

/// Has as many files open as the system lets us; gives how many that are, when it is limited.
pub(crate) fn allow_files() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, most) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

/// Whether a process still lives. Where the time of its start is not known another one may have its number by now, so that
/// it is called alive too long, never too short.
pub(crate) fn is_alive(process: Process) -> bool {
    let exists = i32::try_from(process.pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH));
    exists
        && match (process.started, started(process.pid)) {
            (Some(then), Some(now)) => then == now,
            _ => true,
        }
}

/// When a process started, in clock ticks since the machine did: field 22 of `/proc/PID/stat`.
fn started(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field, the program's name, may hold anything but ends at the last parenthesis.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_process_of_the_same_number_is_not_taken_for_it() {
        let this = this();
        assert!(is_alive(this));
        let other = this.started.map(|started| Process {
            started: Some(started + 1),
            ..this
        });
        assert!(!other.is_some_and(is_alive));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert!(!is_alive(Process { pid, started: None }));
    }
}
