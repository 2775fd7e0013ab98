//! The journal: the durable record of a run, one JSON object a line.
//!
//! A run has a directory of its own, `<state>/runs/<run>/`, with `journal.jsonl` and `tasklist.json`. Every batch of
//! events is synced to the disk before any other sink sees it. The first line tells the format's version. A torn last
//! line, left by a crash, is not an event and is ignored when reading.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use windlass_model::event::Event;
use windlass_model::ids::RunId;

use crate::events::Sink;

/// The version of the format that this build writes; it reads no other.
pub const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Header {
    windlass_journal: u32,
    run: RunId,
    pid: u32,
}

/// Writes the journal of one run.
pub struct Journal {
    file: File,
    buffer: Vec<u8>,
}

/// The directory of a run.
pub fn directory(state: &Path, run: &RunId) -> PathBuf {
    state.join("runs").join(run.as_str())
}

impl Journal {
    /// Begins the journal of a new run; `pid` is that of the process that runs it.
    pub fn create(state: &Path, run: &RunId, pid: u32) -> io::Result<Self> {
        let directory = directory(state, run);
        fs::create_dir_all(&directory)?;
        let file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(directory.join("journal.jsonl"))?;
        let mut journal = Self {
            file,
            buffer: Vec::new(),
        };
        let header = Header {
            windlass_journal: FORMAT,
            run: run.clone(),
            pid,
        };
        journal.line(&header)?;
        journal.flush()?;
        sync_directory(&directory)?;
        Ok(journal)
    }

    fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.buffer, value)?;
        self.buffer.push(b'\n');
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all(&self.buffer)?;
        self.buffer.clear();
        self.file.sync_data()
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

/// Longest record of what was said before a run began, in events.
const BEFORE: usize = 10_000;

/// A journal that begins when its run does: what is said before (while a tasklist is made and checked) is kept until then,
/// and a run that never begins leaves nothing.
pub struct LazyJournal {
    state: PathBuf,
    pid: u32,
    before: Vec<Event>,
    journal: Option<Journal>,
}

impl LazyJournal {
    /// A journal below `state`, of the process `pid`.
    pub fn new(state: PathBuf, pid: u32) -> Self {
        Self {
            state,
            pid,
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
        let run = self.before.iter().find_map(|event| match &event.what {
            windlass_model::event::What::RunStarted { run, .. } => Some(run.clone()),
            _ => None,
        });
        match run {
            Some(run) => {
                let mut journal = Journal::create(&self.state, &run, self.pid)?;
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
    let directory = directory(state, run);
    fs::create_dir_all(&directory)?;
    let path = directory.join("tasklist.json");
    let mut file = io::BufWriter::new(File::create(&path)?);
    windlass_model::tasklist::write(tasklist, &mut file)?;
    file.into_inner()?.sync_all()?;
    sync_directory(&directory)?;
    Ok(path)
}

/// Makes the names in a directory durable.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// A journal that is read.
pub struct Record {
    /// The run.
    pub run: RunId,
    /// The process that ran it.
    pub pid: u32,
    lines: io::Lines<BufReader<File>>,
}

impl Record {
    /// Opens the journal of a run.
    pub fn open(state: &Path, run: &RunId) -> io::Result<Self> {
        let path = directory(state, run).join("journal.jsonl");
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
            pid: header.pid,
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

/// A new run's id: the UTC time and 24 random bits.
pub fn new_run_id() -> Option<RunId> {
    let now = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S");
    let random = getrandom::u32().unwrap_or_default() & 0x00ff_ffff;
    RunId::new(&format!("{now}-{random:06x}"))
}

#[cfg(test)]
mod tests {
    use windlass_model::event::What;

    use super::*;

    #[test]
    fn a_torn_tail_is_not_an_event() {
        let state = tempfile::tempdir().unwrap();
        let run = new_run_id().unwrap();
        let mut journal = Journal::create(state.path(), &run, 7).unwrap();
        let event = Event {
            at: 1,
            what: What::Interrupted { times: 1 },
        };
        journal.accept(&[event.clone(), event.clone()]).unwrap();
        let path = directory(state.path(), &run).join("journal.jsonl");
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 5]).unwrap();
        let record = Record::open(state.path(), &run).unwrap();
        assert_eq!((record.pid, record.run.clone()), (7, run.clone()));
        assert_eq!(record.events().collect::<Vec<_>>(), vec![event]);
        assert_eq!(runs(state.path()).unwrap(), vec![run]);
    }
}
