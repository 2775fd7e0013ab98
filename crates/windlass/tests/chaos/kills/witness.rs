//! A file that builds and installs write themselves: what was begun and what was finished, whatever our own store says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long what a killed agent had begun may go on.
const ORPHAN: Duration = Duration::from_secs(60);

/// What is done under one right: a job and its epoch.
pub(crate) type Right = (String, u64);

/// A line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// `build` or `install`.
    pub(crate) kind: String,
    /// `start`, `finish`, or `beside`: another one's processes were at it still.
    pub(crate) what: String,
    pub(crate) right: Right,
    /// Builder or installer.
    pub(crate) agent: String,
    pub(crate) version: String,
    /// The process group that did it.
    pub(crate) group: i32,
}

/// The file.
pub(crate) struct Witness {
    path: PathBuf,
}

impl Witness {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// How long it is: where what comes later begins.
    pub(crate) fn end(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |found| found.len())
    }

    /// What it says from there on. Whole lines only: each is one write.
    pub(crate) fn since(&self, from: u64) -> Vec<Line> {
        let mut text = String::new();
        if let Ok(mut file) = File::open(&self.path) {
            file.seek(SeekFrom::Start(from)).unwrap();
            file.read_to_string(&mut text).unwrap();
        }
        text.lines().map(read).collect()
    }

    /// All that it says.
    pub(crate) fn all(&self) -> Vec<Line> {
        self.since(0)
    }

    /// What it knows of a job: the last right that it was begun under, and whether it was finished under any.
    pub(crate) fn of(&self, job: &str) -> Option<(Line, bool)> {
        let all = self.all();
        let mut of = all.iter().filter(|line| line.right.0 == job);
        let last = of.clone().rfind(|line| line.what == "start")?.clone();
        Some((last, of.any(|line| line.what == "finish")))
    }

    /// Waits until nothing goes on of what a job began.
    pub(crate) fn quiet(&self, job: &str) {
        let begun = Instant::now();
        while let Some((line, _)) = self.of(job) {
            if !lives(line.group) {
                return;
            }
            assert!(begun.elapsed() < ORPHAN, "it does not end: {line:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Nothing was begun or finished twice under one right, and no install began beside another one of its installer.
    pub(crate) fn nothing_twice(&self) -> Counts {
        let all = self.all();
        let mut counts = Counts::default();
        let mut seen: BTreeSet<(&str, &Right)> = BTreeSet::new();
        let mut at: BTreeMap<&str, &Line> = BTreeMap::new();
        for line in &all {
            assert_ne!(line.what, "beside", "two at once: {line:?}");
            assert!(seen.insert((&line.what, &line.right)), "twice: {line:?}");
            match (line.kind.as_str(), line.what.as_str()) {
                ("install", "start") => {
                    at.insert(&line.agent, line);
                    counts.installs += 1;
                }
                ("install", _) => {
                    let under_way = at.get(line.agent.as_str()).map(|line| &line.right);
                    assert_eq!(under_way, Some(&line.right), "{line:?}");
                    counts.installed += 1;
                }
                (_, "start") => counts.builds += 1,
                _ => counts.built += 1,
            }
        }
        counts
    }

    /// What a target may show: after a finished install its version, else also those of the installs that were cut off since.
    pub(crate) fn shown_by(&self, agent: &str) -> Vec<Option<String>> {
        let all = self.all();
        let of = all
            .iter()
            .filter(|l| l.kind == "install" && l.agent == agent);
        let mut good = vec![None];
        for line in of {
            match line.what.as_str() {
                "finish" => good = vec![Some(line.version.clone())],
                _ => good.push(Some(line.version.clone())),
            }
        }
        good
    }
}

/// How often what was begun and finished.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) builds: u64,
    pub(crate) built: u64,
    pub(crate) installs: u64,
    pub(crate) installed: u64,
}

fn read(line: &str) -> Line {
    let words: Vec<&str> = line.split(' ').collect();
    let [kind, what, job, epoch, agent, version, group] = words[..] else {
        panic!("the witness says {line:?}");
    };
    Line {
        kind: kind.to_owned(),
        what: what.to_owned(),
        right: (job.to_owned(), epoch.parse().unwrap()),
        agent: agent.to_owned(),
        version: version.to_owned(),
        group: group.parse().unwrap(),
    }
}

/// Whether any process of a group lives; zombies do not.
pub(crate) fn lives(group: i32) -> bool {
    let stats = fs::read_dir("/proc").unwrap().flatten();
    stats.into_iter().any(|process| {
        let (state, of) = state_and_group(&process.path());
        of == Some(group) && state != "Z"
    })
}

fn state_and_group(process: &Path) -> (String, Option<i32>) {
    let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let field = |n: usize| fields.get(n).copied().unwrap_or_default();
    (field(0).to_owned(), field(2).parse().ok())
}

/// Whether a process lives.
pub(crate) fn is_up(process: u32) -> bool {
    let (state, group) = state_and_group(&PathBuf::from(format!("/proc/{process}")));
    group.is_some() && state != "Z"
}

/// Processes that were started with this in their environment, and live: each with its command.
pub(crate) fn with_environment(wanted: &str) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let Some(id) = process.file_name().to_str().and_then(|n| n.parse().ok()) else {
            continue;
        };
        let environment = fs::read(process.path().join("environ")).unwrap_or_default();
        let has = environment
            .split(|byte| *byte == 0)
            .any(|one| one == wanted.as_bytes());
        if has && is_up(id) {
            let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            found.push((id, command));
        }
    }
    found
}
