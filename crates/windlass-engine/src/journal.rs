//! The journal: the durable record of a run, one JSON object a line.
//!
//! A run has a directory of its own, `<state>/runs/<run>/`, with `journal.jsonl` and `tasklist.json`. Every batch of
//! events is synced to the disk before any other sink sees it. The first line tells the format's version. A torn last
//! line, left by a crash, is not an event: it is ignored when reading, and cut off when a resumed run is appended.
//! Whoever writes a journal holds a lock on it, which the system lets go when the process ends, however it does.

mod mend;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use windlass_model::event::{Event, Process, What};
use windlass_model::ids::RunId;

use crate::events::Sink;

/// The version of the format that this build writes; it reads no other.
pub const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Header {
    windlass_journal: u32,
    run: RunId,
    #[serde(flatten)]
    process: Process,
}

/// Writes the journal of one run. After a failure nothing more may be written: what was lost then is not known.
pub struct Journal {
    file: File,
    path: PathBuf,
    buffer: Vec<u8>,
}

/// The directory of a run.
pub fn directory(state: &Path, run: &RunId) -> PathBuf {
    state.join("runs").join(run.as_str())
}

impl Journal {
    /// Begins the journal of a new run, which `process` runs.
    pub fn create(state: &Path, run: &RunId, process: Process) -> io::Result<Self> {
        let directory = make_directory(state, run)?;
        let path = path(state, run);
        let file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(&path)
            .map_err(|e| at(&path, &e))?;
        lock(&file)?;
        let mut journal = Self {
            file,
            path,
            buffer: Vec::new(),
        };
        let header = Header {
            windlass_journal: FORMAT,
            run: run.clone(),
            process,
        };
        journal.line(&header)?;
        journal.flush()?;
        sync_directory(&directory).map_err(|e| at(&directory, &e))?;
        Ok(journal)
    }

    /// Opens the journal of a run that goes on, and cuts a torn tail off it, durably. When it returns all that can be read of it
    /// is on the disk, also where the process before could not write it there.
    ///
    /// Fails with `WouldBlock` while another process writes it, with `InvalidData` when it is damaged elsewhere than at
    /// its end, or was written by a newer Windlass; nothing is changed then.
    pub fn append_to(state: &Path, run: &RunId) -> io::Result<Self> {
        Record::open(state, run)?;
        let path = path(state, run);
        let file = OpenOptions::new().read(true).append(true).open(&path)?;
        lock(&file)?;
        let (whole, is_open) = mend::whole_length(&file).map_err(|e| at(&path, &e))?;
        mend::make_durable(&path, &file, whole).map_err(|e| at(&path, &e))?;
        let buffer = if is_open { vec![b'\n'] } else { Vec::new() };
        Ok(Self { file, path, buffer })
    }

    fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.buffer, value)?;
        self.buffer.push(b'\n');
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let written = self.file.write_all(&self.buffer);
        self.buffer.clear();
        written
            .and_then(|()| self.file.sync_data())
            .map_err(|e| at(&self.path, &e))
    }
}

impl Sink for Journal {
    fn accept(&mut self, events: &[Event]) -> io::Result<()> {
        for event in events {
            self.line(event)?;
        }
        self.flush()
    }
}

/// An error that says where.
fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Makes the directory of a run, and its name durable.
fn make_directory(state: &Path, run: &RunId) -> io::Result<PathBuf> {
    let directory = directory(state, run);
    let make = || {
        fs::create_dir_all(&directory)?;
        sync_directory(&state.join("runs"))?;
        sync_directory(state)
    };
    make().map_err(|e| at(&directory, &e))?;
    Ok(directory)
}

/// Takes the lock of a journal's writer. File systems without locks go without.
fn lock(file: &File) -> io::Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(io::Error::new(
            io::ErrorKind::WouldBlock,
            "another process writes this journal",
        )),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// Whether a process writes the journal of a run now: false also where that cannot be known.
pub fn is_being_written(state: &Path, run: &RunId) -> bool {
    let file = File::open(path(state, run));
    file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn path(state: &Path, run: &RunId) -> PathBuf {
    directory(state, run).join("journal.jsonl")
}

/// Longest record of what was said before a run began, in events.
const BEFORE: usize = 10_000;

/// A journal that begins when its run does: what is said before (while a tasklist is made and checked) is kept until then,
/// and a run that never begins leaves nothing. A resumed run goes on in the journal that it has.
pub struct LazyJournal {
    state: PathBuf,
    process: Process,
    before: Vec<Event>,
    journal: Option<Journal>,
}

impl LazyJournal {
    /// A journal below `state`, of this process.
    pub fn new(state: PathBuf, process: Process) -> Self {
        Self {
            state,
            process,
            before: Vec::new(),
            journal: None,
        }
    }
}

impl Sink for LazyJournal {
    fn accept(&mut self, events: &[Event]) -> io::Result<()> {
        if let Some(journal) = &mut self.journal {
            return journal.accept(events);
        }
        self.before.extend_from_slice(events);
        let begun = self.before.iter().find_map(|event| match &event.what {
            What::RunStarted { run, .. } => Some(Journal::create(&self.state, run, self.process)),
            What::RunResumed { run, .. } => Some(Journal::append_to(&self.state, run)),
            _ => None,
        });
        match begun {
            Some(journal) => {
                let mut journal = journal?;
                journal.accept(&std::mem::take(&mut self.before))?;
                self.journal = Some(journal);
            }
            None => self.before.truncate(BEFORE),
        }
        Ok(())
    }
}

/// Keeps the tasklist of a run beside its journal, durable.
pub fn keep_tasklist(
    state: &Path,
    run: &RunId,
    tasklist: &windlass_model::Tasklist,
) -> io::Result<PathBuf> {
    let path = make_directory(state, run)?.join("tasklist.json");
    let mut text = Vec::new();
    windlass_model::tasklist::write(tasklist, &mut text)?;
    write_durably(&path, &text)?;
    Ok(path)
}

/// Writes a file whole, and makes it and its name durable.
pub fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        path.parent().map_or(Ok(()), sync_directory)
    };
    write().map_err(|e| at(path, &e))
}

/// Makes the names in a directory durable.
fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// A journal that is read.
pub struct Record {
    /// The run.
    pub run: RunId,
    /// The process that began it.
    pub process: Process,
    lines: io::Lines<BufReader<File>>,
}

impl Record {
    /// Opens the journal of a run.
    pub fn open(state: &Path, run: &RunId) -> io::Result<Self> {
        let path = path(state, run);
        let mut lines = BufReader::new(File::open(&path)?).lines();
        let invalid = |why: String| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{}: {why}", path.display()),
            )
        };
        let first = lines
            .next()
            .ok_or_else(|| invalid("the journal is empty".into()))??;
        let header: Header = serde_json::from_str(&first)
            .map_err(|_| invalid("the first line is not the header of a journal".into()))?;
        if header.windlass_journal != FORMAT {
            return Err(invalid(format!(
                "format {} is not the one that this Windlass reads ({FORMAT})",
                header.windlass_journal
            )));
        }
        Ok(Self {
            run: header.run,
            process: header.process,
            lines,
        })
    }

    /// The events in order; stops at a torn line.
    pub fn events(self) -> impl Iterator<Item = Event> {
        self.lines
            .map_while(Result::ok)
            .map_while(|line| serde_json::from_str(&line).ok())
    }
}

/// The runs that a state directory holds, the oldest first. Entries that are no runs are passed over.
pub fn runs(state: &Path) -> io::Result<Vec<RunId>> {
    let entries = match fs::read_dir(state.join("runs")) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut runs: Vec<RunId> = entries
        .filter_map(|entry| RunId::new(entry.ok()?.file_name().to_str()?))
        .collect();
    runs.sort();
    Ok(runs)
}

/// A new run's id: the UTC time to the millisecond, and 20 random bits. Ids of one state directory sort as runs began, also
/// after the clock was set back: then an id tells the time of the newest run that is there, and is counted on from it.
pub fn new_run_id(state: &Path) -> Option<RunId> {
    let now = jiff::Timestamp::now();
    let (time, millis) = (now.strftime("%Y%m%d-%H%M%S"), now.subsec_millisecond());
    let random = getrandom::u32().unwrap_or_default() & 0x000f_ffff;
    let id = RunId::new(&format!("{time}-{millis:03}{random:05x}"))?;
    match runs(state).ok().and_then(|mut runs| runs.pop()) {
        Some(newest) if newest >= id => after(&newest),
        _ => Some(id),
    }
}

/// The id that follows this one, if it is one of ours: its last part is a number in hexadecimal.
fn after(newest: &RunId) -> Option<RunId> {
    let (time, last) = newest.as_str().rsplit_once('-')?;
    let next = u32::from_str_radix(last, 16).ok()?.checked_add(1)?;
    RunId::new(&format!("{time}-{next:08x}"))
}

#[cfg(test)]
mod tests;
