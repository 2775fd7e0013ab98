//! What an installer began: its record of jobs, and the fence that keeps an older install from following a newer one.
//!
//! One file, a JSON object a line, appended and synced before anything is done. A job that was begun and has no end was cut
//! off by a crash. A torn last line, left by a crash, is no record: what it was to tell had not begun.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use windlass_model::release::job::Epoch;
use windlass_model::release::{Environment, JobId, ReleaseId, TargetName};

use crate::work::{InstallFailed, Installed};

/// The file's name in the agent's state directory.
const FILE: &str = "installs.jsonl";
/// Jobs whose ends are remembered.
const REMEMBERED: usize = 10_000;
/// Lines after which the file is written anew when it is opened.
const COMPACT: usize = 3 * REMEMBERED;

/// An install that begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Begin {
    /// The manager's cluster: transactions of different ones are not before or after each other.
    pub cluster: String,
    /// The job.
    pub job: JobId,
    /// The lease.
    pub epoch: Epoch,
    /// The number of its transaction.
    pub sequence: u64,
    /// Where to.
    pub environment: Environment,
    /// Which target.
    pub target: TargetName,
    /// What.
    pub release: ReleaseId,
}

/// What has a fence of its own: a target in an environment, as one cluster knows it.
type Place = (String, Environment, TargetName);

impl Begin {
    fn place(&self) -> Place {
        (
            self.cluster.clone(),
            self.environment.clone(),
            self.target.clone(),
        )
    }
}

/// How an install ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It is installed.
    Done(Installed),
    /// It is not.
    Failed(InstallFailed),
}

/// What is known of a job.
#[derive(Clone, Debug, PartialEq)]
pub enum Probe {
    /// It was never begun here.
    NotBegun,
    /// It is under way in this process.
    Running,
    /// It ended so.
    Done(Installed),
    /// It ended so; a failure of kind `Unknown` is [`Probe::Unknown`].
    Failed(InstallFailed),
    /// It was begun, and nobody saw its end.
    Unknown(String),
}

/// Why an install may not begin.
#[derive(Debug)]
pub enum Refused {
    /// One of this transaction, or of a later one, was begun already.
    Overtaken {
        /// The highest transaction that was begun for the target.
        highest: u64,
    },
    /// The record cannot be written: nothing may begin.
    Io(io::Error),
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Overtaken { highest } => write!(
                f,
                "transaction number {highest} was begun for this target already, so this one comes too late"
            ),
            Self::Io(e) => write!(f, "the record of installs cannot be written: {e}"),
        }
    }
}

impl std::error::Error for Refused {}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Begin(Begin),
    End {
        job: JobId,
        epoch: Epoch,
        #[serde(flatten)]
        end: End,
    },
    /// The highest number of a target whose jobs are forgotten.
    Fence {
        cluster: String,
        environment: Environment,
        target: TargetName,
        sequence: u64,
    },
}

/// The last that is known of a job.
struct Known {
    begin: Begin,
    end: Option<End>,
    /// Whether this process began it.
    here: bool,
    /// Counts the jobs as they were begun.
    order: u64,
}

/// The record. One process holds it at a time.
pub struct Fence {
    path: PathBuf,
    file: File,
    highest: HashMap<Place, u64>,
    jobs: HashMap<JobId, Known>,
    begun: u64,
}

impl Fence {
    /// Opens the record in `state`, which is made when it is missing. `WouldBlock` while another process holds it; `InvalidData` when
    /// it is damaged elsewhere than at its end, or was written by a newer Windlass.
    pub fn open(state: &Path) -> io::Result<Self> {
        fs::create_dir_all(state)?;
        let path = state.join(FILE);
        let file = open(&path)?;
        let text = fs::read_to_string(&path)?;
        let mut fence = Self {
            path,
            file,
            highest: HashMap::new(),
            jobs: HashMap::new(),
            begun: 0,
        };
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        let lines = text.get(..whole).unwrap_or_default();
        for (number, line) in lines.lines().enumerate() {
            let line = serde_json::from_str(line).map_err(|e| {
                let place = format!("{}, line {}", fence.path.display(), number + 1);
                io::Error::new(io::ErrorKind::InvalidData, format!("{place}: {e}"))
            })?;
            fence.take(line, false);
        }
        if whole < text.len() {
            fence.file.set_len(whole as u64)?;
        }
        // What a process that was killed wrote counts from here on, so it must be on the disk.
        fence.file.sync_all()?;
        sync_directory(state)?;
        if lines.lines().count() > COMPACT {
            fence.compact()?;
        }
        Ok(fence)
    }

    /// Records that an install begins, durably: call it before anything is done. Refused when one of a higher number was begun for the
    /// target, or of the same one: but for the same job under a later lease, which somebody wants done again.
    pub fn begin(&mut self, begin: &Begin) -> Result<(), Refused> {
        let highest = self.highest.get(&begin.place()).copied().unwrap_or(0);
        let again = self.jobs.get(&begin.job).is_some_and(|known| {
            known.begin.sequence == begin.sequence && known.begin.epoch < begin.epoch
        });
        if begin.sequence < highest || (begin.sequence == highest && !again) {
            return Err(Refused::Overtaken { highest });
        }
        let line = Line::Begin(begin.clone());
        self.append(&line).map_err(Refused::Io)?;
        self.take(line, true);
        Ok(())
    }

    /// Records how an install ended, durably: call it before anybody is told.
    pub fn end(&mut self, job: &JobId, epoch: Epoch, end: End) -> io::Result<()> {
        let line = Line::End {
            job: job.clone(),
            epoch,
            end,
        };
        self.append(&line)?;
        self.take(line, true);
        Ok(())
    }

    /// What is known of a job.
    pub fn probe(&self, job: &JobId) -> Probe {
        let Some(known) = self.jobs.get(job) else {
            return Probe::NotBegun;
        };
        match &known.end {
            None if known.here => Probe::Running,
            None => Probe::Unknown("the installer was stopped while it was under way".into()),
            Some(End::Done(done)) => Probe::Done(done.clone()),
            Some(End::Failed(failed)) => match failed.failure.kind {
                crate::work::FailureKind::Unknown => Probe::Unknown(failed.failure.message.clone()),
                _ => Probe::Failed(failed.clone()),
            },
        }
    }

    /// What a job was to install.
    pub fn release_of(&self, job: &JobId) -> Option<&ReleaseId> {
        self.jobs.get(job).map(|known| &known.begin.release)
    }

    /// Jobs that were begun by an earlier process and have no end.
    pub fn cut_off(&self) -> Vec<&Begin> {
        let cut_off = self.jobs.values().filter(|k| k.end.is_none() && !k.here);
        cut_off.map(|known| &known.begin).collect()
    }

    /// What was installed last for a target, as far as it is known: for behaviours that cannot tell. `None` after anything whose
    /// end is not known.
    pub fn last(&self, environment: &Environment, target: &TargetName) -> Option<&Installed> {
        let of_target = self.jobs.values().filter(|known| {
            known.begin.environment == *environment && known.begin.target == *target
        });
        let last = of_target.max_by_key(|known| known.order)?;
        match &last.end {
            Some(End::Done(done)) => Some(done),
            _ => None,
        }
    }

    fn take(&mut self, line: Line, here: bool) {
        match line {
            Line::Begin(begin) => {
                self.raise(begin.place(), begin.sequence);
                self.begun += 1;
                let known = Known {
                    begin,
                    end: None,
                    here,
                    order: self.begun,
                };
                self.jobs.insert(known.begin.job.clone(), known);
            }
            Line::End { job, epoch, end } => {
                if let Some(known) = self.jobs.get_mut(&job)
                    && known.begin.epoch == epoch
                {
                    known.end = Some(end);
                }
            }
            Line::Fence {
                cluster,
                environment,
                target,
                sequence,
            } => self.raise((cluster, environment, target), sequence),
        }
    }

    fn raise(&mut self, place: Place, sequence: u64) {
        let highest = self.highest.entry(place).or_insert(0);
        *highest = sequence.max(*highest);
    }

    fn append(&mut self, line: &Line) -> io::Result<()> {
        let before = self.file.metadata()?.len();
        let written = write_line(&mut self.file, line).and_then(|()| self.file.sync_data());
        written.map_err(|e| {
            // Half a line, on a full disk, must not become the beginning of the next one; and what the disk did not take must
            // not be found by a process that comes later.
            let _ = self.file.set_len(before);
            io::Error::new(e.kind(), format!("{}: {e}", self.path.display()))
        })
    }

    /// Writes the file anew, with no more than is remembered.
    fn compact(&mut self) -> io::Result<()> {
        let forgotten = self.begun.saturating_sub(REMEMBERED as u64);
        self.jobs
            .retain(|_, known| known.end.is_none() || known.order > forgotten);
        let new = self.path.with_extension("new");
        crate::scratch::remove(&new)?;
        // It is locked before it has the name, so no other process ever holds it.
        let mut file = open(&new)?;
        for ((cluster, environment, target), sequence) in &self.highest {
            let line = Line::Fence {
                cluster: cluster.clone(),
                environment: environment.clone(),
                target: target.clone(),
                sequence: *sequence,
            };
            write_line(&mut file, &line)?;
        }
        let mut jobs: Vec<&Known> = self.jobs.values().collect();
        jobs.sort_by_key(|known| known.order);
        for known in jobs {
            write_line(&mut file, &Line::Begin(known.begin.clone()))?;
            if let Some(end) = &known.end {
                let line = Line::End {
                    job: known.begin.job.clone(),
                    epoch: known.begin.epoch,
                    end: end.clone(),
                };
                write_line(&mut file, &line)?;
            }
        }
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        if let Some(directory) = self.path.parent() {
            sync_directory(directory)?;
        }
        self.file = file;
        Ok(())
    }
}

fn write_line(file: &mut File, line: &Line) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    file.write_all(&text)
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.create(true).append(true).open(path)?;
    lock(&file)?;
    Ok(file)
}

fn lock(file: &File) -> io::Result<()> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            let why = "another installer holds this record of installs";
            Err(io::Error::new(io::ErrorKind::WouldBlock, why))
        }
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use windlass_model::ids::HostName;

    use super::*;
    use crate::work::{Failure, FailureKind, Row};

    fn begin(job: &str, epoch: Epoch, sequence: u64, target: &str) -> Begin {
        Begin {
            cluster: "one".into(),
            job: job.parse().unwrap(),
            epoch,
            sequence,
            environment: "test".parse().unwrap(),
            target: target.parse().unwrap(),
            release: "shop@1.0".parse().unwrap(),
        }
    }

    fn done() -> Installed {
        let row = Row {
            host: HostName::new("box"),
            version: "1.0".parse().ok(),
        };
        Installed { rows: vec![row] }
    }

    fn failed(kind: FailureKind) -> InstallFailed {
        Failure {
            kind,
            message: "no".into(),
        }
        .into()
    }

    #[test]
    fn an_older_install_never_follows_a_newer_one() {
        let state = tempfile::tempdir().unwrap();
        let mut fence = Fence::open(state.path()).unwrap();
        fence.begin(&begin("a", 1, 5, "web")).unwrap();
        for (job, epoch, sequence) in [("b", 1, 4), ("b", 1, 5), ("a", 1, 5)] {
            let refused = fence.begin(&begin(job, epoch, sequence, "web"));
            assert!(
                matches!(refused, Err(Refused::Overtaken { highest: 5 })),
                "{job} {sequence}"
            );
        }
        fence.begin(&begin("c", 1, 1, "other")).unwrap();
        fence.begin(&begin("a", 2, 5, "web")).unwrap();
        drop(fence);
        let mut fence = Fence::open(state.path()).unwrap();
        assert!(
            fence.begin(&begin("d", 1, 5, "web")).is_err(),
            "after a restart"
        );
        fence.begin(&begin("d", 1, 6, "web")).unwrap();
        assert!(
            fence.begin(&begin("a", 3, 5, "web")).is_err(),
            "overtaken meanwhile"
        );
    }

    #[test]
    fn a_job_is_found_again_after_a_crash() {
        let state = tempfile::tempdir().unwrap();
        let id = |job: &str| -> JobId { job.parse().unwrap() };
        let mut fence = Fence::open(state.path()).unwrap();
        assert_eq!(fence.probe(&id("a")), Probe::NotBegun);
        for (number, job) in ["a", "b", "c", "d"].into_iter().enumerate() {
            fence
                .begin(&begin(job, 1, number as u64 + 1, "web"))
                .unwrap();
        }
        assert_eq!(fence.probe(&id("a")), Probe::Running);
        fence.end(&id("a"), 1, End::Done(done())).unwrap();
        fence
            .end(&id("b"), 1, End::Failed(failed(FailureKind::Failed)))
            .unwrap();
        fence
            .end(&id("c"), 1, End::Failed(failed(FailureKind::Unknown)))
            .unwrap();
        fence.end(&id("d"), 7, End::Done(done())).unwrap();
        assert!(Fence::open(state.path()).is_err(), "one process at a time");
        drop(fence);
        // A crash in the middle of a line.
        let path = state.path().join(FILE);
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str("{\"begin\":{\"job\":\"e\"");
        fs::write(&path, text).unwrap();
        let mut fence = Fence::open(state.path()).unwrap();
        assert_eq!(fence.probe(&id("a")), Probe::Done(done()));
        assert_eq!(
            fence.probe(&id("b")),
            Probe::Failed(failed(FailureKind::Failed))
        );
        assert!(matches!(fence.probe(&id("c")), Probe::Unknown(_)));
        assert!(
            matches!(fence.probe(&id("d")), Probe::Unknown(_)),
            "an end of another lease is none"
        );
        assert_eq!(fence.probe(&id("e")), Probe::NotBegun);
        assert_eq!(fence.cut_off().len(), 1);
        assert_eq!(
            fence.last(&"test".parse().unwrap(), &"web".parse().unwrap()),
            None
        );
        fence.begin(&begin("f", 1, 9, "web")).unwrap();
        fence.end(&id("f"), 1, End::Done(done())).unwrap();
        let last = fence.last(&"test".parse().unwrap(), &"web".parse().unwrap());
        assert_eq!(last, Some(&done()));
    }

    #[test]
    fn a_long_record_is_written_anew_and_keeps_the_fence() {
        let state = tempfile::tempdir().unwrap();
        let line = |number: u64| {
            let begin = begin(&format!("j{number}"), 1, number, "web");
            let end = Line::End {
                job: begin.job.clone(),
                epoch: 1,
                end: End::Done(done()),
            };
            let texts = [
                serde_json::to_string(&Line::Begin(begin)),
                serde_json::to_string(&end),
            ];
            texts.map(Result::unwrap).join("\n") + "\n"
        };
        let many = COMPACT as u64;
        let text: String = (1..=many).map(line).collect();
        fs::write(state.path().join(FILE), text).unwrap();
        drop(Fence::open(state.path()).unwrap());
        let mut fence = Fence::open(state.path()).unwrap();
        assert!(
            fs::read_to_string(state.path().join(FILE))
                .unwrap()
                .lines()
                .count()
                <= COMPACT
        );
        assert!(fence.begin(&begin("x", 1, many, "web")).is_err());
        assert!(matches!(
            fence.probe(&format!("j{many}").parse().unwrap()),
            Probe::Done(_)
        ));
        assert_eq!(fence.probe(&"j1".parse().unwrap()), Probe::NotBegun);
        fence.begin(&begin("x", 1, many + 1, "web")).unwrap();
    }

    #[test]
    fn clusters_count_for_themselves() {
        let place = tempfile::tempdir().unwrap();
        let mut fence = Fence::open(place.path()).unwrap();
        fence.begin(&begin("a", 1, 9, "web")).unwrap();
        let other = Begin {
            cluster: "two".into(),
            ..begin("b", 1, 1, "web")
        };
        fence.begin(&other).unwrap();
        assert!(fence.begin(&begin("c", 1, 8, "web")).is_err());
    }

    #[test]
    fn damage_is_told() {
        let state = tempfile::tempdir().unwrap();
        fs::write(state.path().join(FILE), "nonsense\n{}\n").unwrap();
        let error = Fence::open(state.path()).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains("line 1"), "{error}");
    }
}
