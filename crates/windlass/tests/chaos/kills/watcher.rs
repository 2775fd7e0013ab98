//! Looks at what installers show, all the time: one whole release, or nothing.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, fstat, open, openat, stat};

/// Lines of the bulky file of a release.
pub(crate) const BULK: usize = 8_000;
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(15);

/// The files of a release; each holds its version.
const FILES: [&str; 3] = ["version", "deep/version", "z"];

/// The version that is shown. None where nothing is. Looking goes through one open directory, so that a release that takes
/// the place of another meanwhile is not mixed up with it; a tree that is gone by then is being removed, and not shown.
pub(crate) fn shown(path: &Path) -> Result<Option<String>, String> {
    loop {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(directory) = open(path, flags, Mode::empty()) else {
            return Ok(None);
        };
        let read = |name: &str| -> Option<String> {
            let file = openat(&directory, name, OFlags::RDONLY, Mode::empty()).ok()?;
            let mut text = String::new();
            File::from(file).read_to_string(&mut text).ok()?;
            Some(text)
        };
        let texts: Option<Vec<String>> = FILES.iter().map(|name| read(name)).collect();
        let (Some(texts), Some(bulk)) = (texts, read("bulk")) else {
            let (ours, there) = (fstat(&directory).unwrap(), stat(path));
            match there {
                Ok(there) if (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino) => {
                    return Err(format!("{}: a file is missing", path.display()));
                }
                _ => continue,
            }
        };
        let version = &texts[0];
        let whole = texts.iter().all(|text| text == version)
            && !version.is_empty()
            && bulk == version.repeat(BULK);
        if !whole {
            let told = format!("{}: {texts:?}, {} bytes", path.display(), bulk.len());
            return Err(told);
        }
        return Ok(Some(version.trim_end().to_owned()));
    }
}

/// Looks until it is ended.
pub(crate) struct Watcher {
    stop: Arc<AtomicBool>,
    looks: Arc<AtomicU64>,
    thread: JoinHandle<Result<(), String>>,
}

impl Watcher {
    /// Begins.
    pub(crate) fn start(paths: Vec<PathBuf>) -> Self {
        let (stop, looks) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let (until, counted): (_, Arc<AtomicU64>) = (stop.clone(), Arc::clone(&looks));
        let thread = std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                for path in &paths {
                    shown(path)?;
                    counted.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::sleep(PAUSE);
            }
            Ok(())
        });
        Self {
            stop,
            looks,
            thread,
        }
    }

    /// Ends it; gives how often it looked. Panics where it ever saw half of a release.
    pub(crate) fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        if let Err(half) = self.thread.join().unwrap() {
            panic!("half-visible: {half}");
        }
        self.looks.load(Ordering::Relaxed)
    }
}
