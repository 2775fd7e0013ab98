//! Process groups that jobs began on this machine. They outlive an agent that is killed, and go on with what they were sent.
//!
//! Each lease of a job has a file, and each of its groups a line in it, written before anything is done there; the file goes when
//! the job has ended. So what lies here when an agent starts was begun by one that was killed. Nothing is synced: what the machine
//! forgets when it goes down has gone down with it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use windlass_engine::host::Begun;
use windlass_model::release::JobId;
use windlass_model::release::job::Epoch;

/// Where the files lie in the work directory of an agent.
const FOLDER: &str = "groups";
/// How long what was killed may take to be gone.
const GONE: Duration = Duration::from_secs(5);

/// The record.
#[derive(Clone, Debug)]
pub struct Groups {
    folder: PathBuf,
}

/// The record of one lease, which goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Record(PathBuf);

/// A process group as it was when it began.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    /// Its number: that of its leader.
    number: i32,
    /// When its leader began, in ticks since the boot; `-` where that is not told.
    started: String,
    /// Its session.
    session: String,
    /// The boot.
    boot: String,
}

impl Groups {
    /// The record in an agent's work directory.
    pub fn of(work: &Path) -> Self {
        Self {
            folder: work.join(FOLDER),
        }
    }

    fn file(&self, job: &JobId, epoch: Epoch) -> PathBuf {
        self.folder.join(format!("{job}.{epoch}"))
    }

    /// Begins the record of a lease.
    pub(crate) fn record(&self, job: &JobId, epoch: Epoch) -> io::Result<Record> {
        fs::create_dir_all(&self.folder)?;
        let path = self.file(job, epoch);
        File::create(&path)?;
        Ok(Record(path))
    }

    /// The number of a process group that goes on of what a lease began, if one does.
    pub fn going_on(&self, job: &JobId, epoch: Epoch) -> Option<i32> {
        let groups = read(&self.file(job, epoch));
        let lives = groups.into_iter().find(Group::lives)?;
        Some(lives.number)
    }

    /// Forgets leases of which nothing goes on. For an agent that starts, before its first job.
    pub fn forget_ended(&self) {
        for path in self.files() {
            if !read(&path).iter().any(Group::lives) {
                let _ = fs::remove_file(path);
            }
        }
    }

    /// Kills what goes on of any lease: nobody takes up what comes of it. For an agent that starts, before its first job. Gives the
    /// groups that live after some seconds all the same.
    pub fn end_all(&self) -> Vec<i32> {
        let mut alive: Vec<Group> = self.files().iter().flat_map(|path| read(path)).collect();
        let begun = Instant::now();
        loop {
            alive.retain(Group::lives);
            if alive.is_empty() || begun.elapsed() >= GONE {
                self.forget_ended();
                return alive.iter().map(|group| group.number).collect();
            }
            for group in &alive {
                if let Some(number) = Pid::from_raw(group.number) {
                    let _ = kill_process_group(number, Signal::KILL);
                }
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }
}

impl Record {
    /// Takes down groups as they begin.
    pub(crate) fn begun(&self) -> Begun {
        let path = self.0.clone();
        Arc::new(move |number| {
            let number = i32::try_from(number).map_err(io::Error::other)?;
            let group = Group::now(number);
            let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
            file.write_all(group.line().as_bytes())
        })
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// What lines tell; one that was cut off tells of a group in which nothing was done.
fn read(path: &Path) -> Vec<Group> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_inclusive('\n')
        .filter_map(|line| Group::of(line.strip_suffix('\n')?))
        .collect()
}

impl Group {
    fn now(number: i32) -> Self {
        let process = Process::of(&PathBuf::from(format!("/proc/{number}")));
        let word = |text: Option<&String>| text.map_or("-", String::as_str).to_owned();
        Self {
            number,
            started: word(process.as_ref().map(|p| &p.started)),
            session: word(process.as_ref().map(|p| &p.session)),
            boot: boot(),
        }
    }

    fn line(&self) -> String {
        let Self {
            number,
            started,
            session,
            boot,
        } = self;
        format!("{number} {started} {session} {boot}\n")
    }

    fn of(line: &str) -> Option<Self> {
        let mut words = line.split(' ').map(str::to_owned);
        Some(Self {
            number: words.next()?.parse().ok()?,
            started: words.next()?,
            session: words.next()?,
            boot: words.next()?,
        })
    }

    /// Whether anything of it lives. Its number is nobody else's as long as it does; zombies do not live.
    fn lives(&self) -> bool {
        if self.boot != boot() {
            return false;
        }
        let Some(number) = Pid::from_raw(self.number).filter(|_| self.number > 1) else {
            return false;
        };
        if test_kill_process_group(number) == Err(rustix::io::Errno::SRCH) {
            return false;
        }
        if self.started == "-" {
            return true;
        }
        let leader = Process::of(&PathBuf::from(format!("/proc/{}", self.number)));
        match leader {
            Some(leader) if leader.started != self.started => return false,
            Some(leader) if leader.state != "Z" => return true,
            _ => {}
        }
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let mut processes = entries.filter_map(|entry| Process::of(&entry.path()));
        processes.any(|process| {
            process.group == self.number && process.session == self.session && process.state != "Z"
        })
    }
}

/// What `/proc` tells of a process.
struct Process {
    state: String,
    group: i32,
    session: String,
    started: String,
}

impl Process {
    fn of(process: &Path) -> Option<Self> {
        let stat = fs::read_to_string(process.join("stat")).ok()?;
        let (_, fields) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let field = |n: usize| fields.get(n).map(|text| (*text).to_owned());
        Some(Self {
            state: field(0)?,
            group: field(2)?.parse().ok()?,
            session: field(3)?,
            started: field(19)?,
        })
    }
}

/// The id of this boot; `-` where none is told.
fn boot() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    boot.map_or_else(|_| "-".into(), |text| text.trim().to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};

    use super::*;

    fn shell(line: &str) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", line]).process_group(0).spawn().unwrap()
    }

    #[test]
    fn what_outlives_an_agent_is_found_and_ended() {
        let work = tempfile::tempdir().unwrap();
        let groups = Groups::of(work.path());
        let job: JobId = "a.i1".parse().unwrap();
        let record = groups.record(&job, 1).unwrap();
        assert_eq!(groups.going_on(&job, 1), None);
        // The leader ends, and what it has begun goes on.
        let mut leader = shell("sleep 60 >/dev/null & exit 0");
        let number = leader.id();
        record.begun()(number).unwrap();
        leader.wait().unwrap();
        let group = i32::try_from(number).unwrap();
        assert_eq!(groups.going_on(&job, 1), Some(group));
        assert_eq!(groups.going_on(&job, 2), None);
        // The agent is killed, and starts again.
        std::mem::forget(record);
        groups.forget_ended();
        assert_eq!(groups.going_on(&job, 1), Some(group));
        assert_eq!(groups.end_all(), [0; 0]);
        assert_eq!(groups.going_on(&job, 1), None);
        assert!(groups.files().is_empty());
    }

    #[test]
    fn the_number_of_a_group_that_is_gone_may_be_somebody_elses() {
        let work = tempfile::tempdir().unwrap();
        let groups = Groups::of(work.path());
        let job: JobId = "a.i1".parse().unwrap();
        let mut other = shell("sleep 60");
        let group = Group::now(i32::try_from(other.id()).unwrap());
        fs::create_dir_all(&groups.folder).unwrap();
        let write = |group: &Group, end: &str| {
            let line = group.line();
            let line = format!("{}{end}", line.trim_end());
            fs::write(groups.file(&job, 1), line).unwrap();
            groups.going_on(&job, 1).is_some()
        };
        assert!(write(&group, "\n"));
        let started = "1".into();
        let boot = "another".into();
        assert!(!write(
            &Group {
                started,
                ..group.clone()
            },
            "\n"
        ));
        assert!(!write(
            &Group {
                boot,
                ..group.clone()
            },
            "\n"
        ));
        assert!(!write(&group, ""), "a line that was cut off");
        groups.end_all();
        assert!(other.try_wait().unwrap().is_none(), "it was not ours");
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn a_record_goes_with_its_job() {
        let work = tempfile::tempdir().unwrap();
        let groups = Groups::of(work.path());
        let record = groups.record(&"a".parse().unwrap(), 3).unwrap();
        assert_eq!(groups.files().len(), 1);
        drop(record);
        assert!(groups.files().is_empty());
    }
}
