//! Programs under strace: which calls they make from where, and one of those made to fail.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use windlass_testkit::chaos::Numbers;

/// Calls that write, make durable, give a name, or send.
const CALLS: [&str; 16] = [
    "write",
    "pwrite64",
    "writev",
    "pwritev",
    "ftruncate",
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "sendto",
    "sendmsg",
    "mkdir",
    "fchmod",
];
/// Longest wait for the last line of a trace, in steps of 10 ms.
const STEPS: usize = 500;

/// Where a call comes from: its name, what it acts on, and the function of ours, or of a library, that asks for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Site(pub(super) String);

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A call that can be found again: so strace counts, in each thread by itself, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Nth {
    call: String,
    nth: u64,
    /// Only calls that act on this file are counted, where it has the same name each time.
    path: Option<String>,
}

/// A call of a recording.
#[derive(Clone, Debug)]
struct Call {
    nth: Nth,
    on: String,
    frames: Vec<String>,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Harm {
    /// The process is killed as it makes it.
    Kill,
    /// It fails with an error of the disk.
    Broken,
    /// It fails for want of room.
    Full,
}

impl Harm {
    pub(super) const ALL: [Self; 3] = [Self::Kill, Self::Broken, Self::Full];

    fn injected(self) -> &'static str {
        match self {
            Self::Kill => "signal=SIGKILL",
            Self::Broken => "error=EIO",
            Self::Full => "error=ENOSPC",
        }
    }

    /// What the system says of it.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Kill => "",
            Self::Broken => "Input/output error",
            Self::Full => "No space left on device",
        }
    }
}

/// A call that is to be harmed.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub(super) site: Site,
    pub(super) nth: Nth,
    pub(super) harm: Harm,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Nth { call, nth, .. } = &self.nth;
        let (harm, site) = (self.harm.injected(), &self.site);
        write!(f, "{harm} at {call} number {nth}, as of {site}")
    }
}

/// The words of strace that record every call, with where it comes from.
pub(super) fn recording(out: &Path) -> Vec<String> {
    let mut words = strace(out, &CALLS.join(","));
    words.push("-k".into());
    words
}

/// The words of strace that harm one call.
pub(super) fn harming(out: &Path, fault: &Fault) -> Vec<String> {
    let Nth { call, nth, path } = &fault.nth;
    let mut words = strace(out, call);
    let harm = fault.harm.injected();
    words.extend(["-e".into(), format!("inject={call}:{harm}:when={nth}")]);
    if let Some(path) = path {
        words.extend(["-P".into(), path.clone()]);
    }
    words
}

/// The program stays the child of whoever starts it; strace is a process beside it.
fn strace(out: &Path, calls: &str) -> Vec<String> {
    let out = out.display().to_string();
    let trace = format!("trace={calls}");
    [
        "strace", "-D", "-I", "1", "-f", "-q", "-yy", "-o", &out, "-e", &trace,
    ]
    .map(str::to_owned)
    .into()
}

/// A command under the words of strace; few threads make its calls come in the same order each time.
pub(super) fn under(words: &[String], command: &Command) -> Command {
    let (program, rest) = words.split_first().unwrap();
    let mut under = Command::new(program);
    under
        .args(rest)
        .arg(command.get_program())
        .args(command.get_args())
        .env("TOKIO_WORKER_THREADS", "1");
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => under.env(name, value),
            None => under.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        under.current_dir(directory);
    }
    under.stdin(std::process::Stdio::null());
    under
}

/// The lines of a trace, once the end of the process is in it.
fn lines(out: &Path, pid: Option<u32>) -> Vec<String> {
    for _ in 0..STEPS {
        let text = fs::read(out).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let has_ended = |line: &str| {
            let (who, what) = line.split_once(' ').unwrap_or_default();
            what.trim_start().starts_with("+++ ") && pid.is_none_or(|pid| pid.to_string() == who)
        };
        if text.lines().any(has_ended) {
            return text.lines().map(str::to_owned).collect();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("the trace {} has no end", out.display());
}

/// Every site of a recording with the calls that were made there. `pid`: the process, where it is one that can be waited for. Names
/// below `base` that hold no ids are the same each time.
pub(super) fn sites(out: &Path, pid: Option<u32>, base: &Path) -> BTreeMap<Site, Vec<Nth>> {
    let mut counts: BTreeMap<(String, String, Option<String>), u64> = BTreeMap::new();
    let mut last: BTreeMap<String, Call> = BTreeMap::new();
    let mut done: Vec<Call> = Vec::new();
    let mut speaker = String::new();
    for line in lines(out, pid) {
        if let Some(frame) = line.strip_prefix(" > ") {
            if let Some(call) = last.get_mut(&speaker) {
                call.frames.push(frame.to_owned());
            }
            continue;
        }
        let (who, what) = line.split_once(' ').unwrap_or_default();
        let what = what.trim_start();
        speaker = who.to_owned();
        if what.starts_with("<...") {
            continue;
        }
        done.extend(last.remove(who));
        let Some((name, arguments)) = what.split_once('(') else {
            continue;
        };
        if !CALLS.contains(&name) {
            continue;
        }
        let path = stable(arguments, base);
        let count = (who.into(), name.into(), path.clone());
        let count = counts.entry(count).or_default();
        *count += 1;
        let nth = Nth {
            call: name.into(),
            nth: *count,
            path,
        };
        let call = Call {
            nth,
            on: on(arguments),
            frames: Vec::new(),
        };
        last.insert(who.into(), call);
    }
    done.extend(last.into_values());
    let mut sites: BTreeMap<Site, Vec<Nth>> = BTreeMap::new();
    for call in done {
        if is_of_the_kernel(&call.on) {
            continue;
        }
        let (name, on, asker) = (&call.nth.call, &call.on, asker(&call.frames));
        let site = Site(format!("{name} {on} {asker}"));
        sites.entry(site).or_default().push(call.nth);
    }
    sites
}

/// What lies only in the kernel cannot fail as a disk does. A service's own socket is what its signals come through.
fn is_of_the_kernel(on: &str) -> bool {
    matches!(on, "eventfd" | "null" | "socketpair")
}

/// The file that an open descriptor leads to, if its name is the same each time.
fn stable(arguments: &str, base: &Path) -> Option<String> {
    let (_, rest) = arguments.split_once('<')?;
    let (path, _) = rest.split_once('>')?;
    let below = Path::new(path).strip_prefix(base).ok()?.to_str()?;
    let is_plain = below.split('/').all(|part| plain(part) == part);
    is_plain.then(|| path.to_owned())
}

/// What a call acts on, without what differs from run to run.
fn on(arguments: &str) -> String {
    let file = |text: &str| {
        let mut parts: Vec<&str> = text.rsplit('/').take(2).collect();
        parts.reverse();
        let named: Vec<String> = parts.iter().map(|part| plain(part)).collect();
        named.join("/")
    };
    if let Some(path) = arguments
        .strip_prefix('"')
        .and_then(|rest| rest.split('"').next())
    {
        return file(path);
    }
    let inside = arguments
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'));
    match inside.map_or("", |(inside, _)| inside) {
        "" => "nothing".into(),
        text if text.starts_with("TCP") => "tcp".into(),
        text if text.starts_with("UNIX") => "socketpair".into(),
        text if text.starts_with("socket") => "socket".into(),
        text if text.starts_with("pipe") => "pipe".into(),
        text if text.contains("eventfd") => "eventfd".into(),
        text if text.starts_with("/dev/null") => "null".into(),
        text => file(text),
    }
}

/// A name without numbers and ids.
fn plain(name: &str) -> String {
    let parts = name.split_inclusive(['.', '-', '_']);
    let of = |part: &str| {
        let (word, end) = match part.char_indices().next_back() {
            Some((at, '.' | '-' | '_')) => part.split_at(at),
            _ => (part, ""),
        };
        let is_id = word.len() > 12 || word.bytes().any(|b| b.is_ascii_digit());
        format!("{}{end}", if is_id { "#" } else { word })
    };
    parts.map(of).collect()
}

/// The innermost function that is neither libc's nor the standard library's.
fn asker(frames: &[String]) -> String {
    let named = frames.iter().filter_map(|frame| {
        let (_, inside) = frame.split_once('(')?;
        let (name, _) = inside.rsplit_once("+0x")?;
        (!frame.contains(".so")).then_some(name)
    });
    let named: Vec<&str> = named
        .filter(|name| !name.starts_with("std::") && !name.starts_with("<std::"))
        .filter(|name| !name.starts_with("<&std::") && !name.starts_with("core::"))
        .collect();
    let ours = named.iter().find(|name| name.contains("windlass_"));
    ours.or(named.first()).unwrap_or(&"?").to_string()
}

/// What was harmed.
#[derive(Debug, Default)]
pub(super) struct Harmed {
    /// What each call that was made to fail acted on.
    pub(super) on: Vec<String>,
    /// Whether a process was killed by it.
    pub(super) was_killed: bool,
}

impl Harmed {
    /// Whether a call was harmed that cannot fail so.
    pub(super) fn is_impossible(&self) -> bool {
        self.on.iter().any(|on| is_of_the_kernel(on))
    }

    /// Whether nothing was: the call did not come this time.
    pub(super) fn is_nothing(&self) -> bool {
        self.on.is_empty() && !self.was_killed
    }
}

/// What the trace so far says of that.
pub(super) fn harmed_so_far(out: &Path) -> Harmed {
    let text = fs::read(out).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut harmed = Harmed::default();
    let mut last: BTreeMap<&str, String> = BTreeMap::new();
    for line in text.lines() {
        let (who, what) = line.split_once(' ').unwrap_or_default();
        let what = what.trim_start();
        if let Some((_, arguments)) = what.split_once('(').filter(|_| !what.starts_with("<...")) {
            last.insert(who, on(arguments));
        }
        if what.contains("(INJECTED)") {
            harmed.on.extend(last.get(who).cloned());
        }
        harmed.was_killed |= what.starts_with("+++ killed by SIGKILL");
    }
    harmed
}

/// Has strace go as soon as a call was harmed: it counts in each thread and each child anew, and one fault is meant. Until then, or
/// until this is dropped.
pub(super) struct Once(Arc<AtomicBool>);

impl Once {
    pub(super) fn of(out: &Path, pid: u32) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let (over, out) = (is_over.clone(), out.to_owned());
        std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) && harmed_so_far(&out).is_nothing() {
                std::thread::sleep(Duration::from_millis(10));
            }
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let tracer = status.lines().find_map(|l| l.strip_prefix("TracerPid:"));
            if let Some(tracer) = tracer.map(str::trim).filter(|tracer| *tracer != "0") {
                let _ = Command::new("kill").arg(tracer).status();
            }
        });
        Self(is_over)
    }
}

impl Drop for Once {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What the trace of a process that has ended says of that.
pub(super) fn harmed(out: &Path) -> Harmed {
    lines(out, None);
    harmed_so_far(out)
}

/// A sample of each site: its first call, its last, and one between, each harmed in every way. `has_many_threads`: then a plain
/// write that is only counted may in one of them be another, which wakes a thread and cannot fail; so it is only killed at.
pub(super) fn faults(
    sites: &BTreeMap<Site, Vec<Nth>>,
    numbers: &mut Numbers,
    has_many_threads: bool,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (site, calls) in sites {
        let mut sample = vec![calls.first(), calls.last(), numbers.pick(calls)];
        sample.dedup();
        for harm in Harm::ALL {
            for nth in sample.iter().flatten().copied() {
                let is_vague = nth.call == "write" && nth.path.is_none();
                if harm == Harm::Kill || !is_vague || !has_many_threads {
                    faults.push(Fault {
                        site: site.clone(),
                        nth: nth.clone(),
                        harm,
                    });
                }
            }
        }
    }
    faults
}
