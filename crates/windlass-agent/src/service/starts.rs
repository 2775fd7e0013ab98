//! How often an agent was started: what tells its processes apart, and which is the later one.

use std::fs::{self, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// How often it is looked whether another process that starts here has done so, and how long it is waited in between.
const LOOKS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(100);

/// Begins the next process of the agent that keeps there what its managers know it by; gives its incarnation, which is greater as
/// text than that of every process before. It is on the disk before anybody hears it. Waits for 10 s at most for another process
/// that does the same there.
pub(super) fn begin(directory: &Path) -> io::Result<String> {
    let open = |name: &str| {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        options.mode(0o600).open(directory.join(name))
    };
    // held until it is closed: of two that start at once, one is the later
    let lock = open("starts.lock")?;
    wait_for(&lock)?;
    let path = directory.join("starts");
    let before: u64 = match fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().map_err(|_| {
            io::Error::other(format!(
                "{} is no number: remove it, and have the managers forget this agent (`windlass agents remove`)",
                path.display()
            ))
        })?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => 0,
        Err(e) => return Err(e),
    };
    let number = before.saturating_add(1);
    let mut file = open("starts.new")?;
    file.set_len(0)?;
    file.write_all(format!("{number}\n").as_bytes())?;
    file.sync_all()?;
    fs::rename(directory.join("starts.new"), &path)?;
    fs::File::open(directory)?.sync_all()?;
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|e| io::Error::other(format!("no random numbers: {e}")))?;
    let random: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    Ok(format!("{number:020}-{random}"))
}

/// Takes the lock. File systems without locks go without.
fn wait_for(lock: &fs::File) -> io::Result<()> {
    for _ in 0..LOOKS {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(()),
        }
    }
    let why =
        "another process of this agent has been starting for 10 s: end it, or wait until it has";
    Err(io::Error::new(io::ErrorKind::TimedOut, why))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_later_process_is_greater() {
        let place = tempfile::tempdir().unwrap();
        let begin = || begin(place.path()).unwrap();
        let all: Vec<String> = (0..12).map(|_| begin()).collect();
        assert!(all.is_sorted_by(|a, b| a < b), "{all:?}");
    }

    #[test]
    fn those_that_start_at_once_are_told_apart() {
        let place = tempfile::tempdir().unwrap();
        let mut all: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| begin(place.path())))
                .collect();
            threads
                .into_iter()
                .map(|t| t.join().unwrap().unwrap())
                .collect()
        });
        all.iter_mut().for_each(|one| one.truncate(20));
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 8);
    }

    #[test]
    fn what_is_no_number_is_said() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("starts"), "many").unwrap();
        let said = begin(place.path()).unwrap_err().to_string();
        assert!(said.contains("starts is no number: remove it"), "{said}");
    }
}
