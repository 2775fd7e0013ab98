//! Where nothing may be seen: lists of processes, and files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

/// Collects the command lines of all processes of this machine, as `ps` shows them.
pub(crate) struct Processes {
    over: Arc<AtomicBool>,
    lines: JoinHandle<BTreeSet<Vec<u8>>>,
}

impl Processes {
    pub(crate) fn watch() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let lines = std::thread::spawn({
            let over = over.clone();
            move || {
                let mut lines = BTreeSet::new();
                while !over.load(Ordering::Relaxed) {
                    for process in fs::read_dir("/proc").unwrap().flatten() {
                        // one that has ended meanwhile has none
                        lines.extend(fs::read(process.path().join("cmdline")));
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
                lines
            }
        });
        Self { over, lines }
    }

    /// All that were seen.
    pub(crate) fn end(self) -> BTreeSet<Vec<u8>> {
        self.over.store(true, Ordering::Relaxed);
        self.lines.join().unwrap()
    }
}

/// The files below `directory` that were written since, those of the names in `but` left out.
pub(crate) fn files(
    directory: &Path,
    since: SystemTime,
    but: &[PathBuf],
    found: &mut Vec<PathBuf>,
) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(meta) = path.symlink_metadata() else {
            continue;
        };
        if but.contains(&path) {
            continue;
        }
        if meta.is_dir() {
            files(&path, since, but, found);
        } else if meta.is_file()
            && meta.len() < 16 << 20
            && meta.modified().is_ok_and(|at| at >= since)
        {
            found.push(path);
        }
    }
}
