//! One process of a plugin: started, listened to, ended.

use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use windlass_model::step::Level;

use crate::callbacks::{Log, LogLine};
use crate::group::Group;
use crate::lines::Lines;
use crate::message::shown;
use crate::open::OpenCalls;
use crate::spec::{Limits, PluginSpec};

/// How many lines to the plugin may wait.
const REQUESTS: usize = 64;
/// The longest line of stderr; a longer one comes in pieces.
const STDERR_LINE: usize = 8 * 1024;
/// How much of stderr is logged.
const STDERR_BYTES: usize = 16 << 20;
/// How many last lines of stderr a message shows.
const LAST_WORDS: usize = 5;
/// How long what a process wrote last is waited for, once it has ended.
const LAST_WORDS_TIME: Duration = Duration::from_millis(300);

/// A running plugin. Dropping it kills its process group.
pub(crate) struct Process {
    pub(crate) shared: Arc<Shared>,
    pub(crate) requests: mpsc::Sender<Vec<u8>>,
    done: watch::Receiver<bool>,
}

/// What the parts that serve one process have in common.
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) limits: Limits,
    pub(crate) calls: Arc<OpenCalls>,
    pub(crate) log: Log,
    group: Group,
    phase: watch::Sender<Phase>,
    last_words: Mutex<VecDeque<String>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    Closing,
    Over,
}

impl Process {
    /// Starts it; must be called within a tokio runtime. The error is one line.
    pub(crate) fn start(spec: &PluginSpec, log: &Log) -> Result<Self, String> {
        let cannot = |e: std::io::Error| format!("cannot start the plugin `{}`: {e}", spec.name);
        let mut child = command(spec).spawn().map_err(cannot)?;
        let group = Group::new(child.id());
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(cannot(std::io::Error::other("it has no pipes")));
        };
        let (phase, _) = watch::channel(Phase::Running);
        let shared = Arc::new(Shared {
            name: spec.name.clone(),
            limits: spec.limits,
            calls: OpenCalls::new(spec.limits.line_bytes.saturating_mul(2)),
            log: log.clone(),
            group,
            phase,
            last_words: Mutex::default(),
        });
        let (requests, lines) = mpsc::channel(REQUESTS);
        let (done_sender, done) = watch::channel(false);
        tokio::spawn(write_requests(shared.clone(), lines, stdin));
        let words = tokio::spawn(read_stderr(shared.clone(), stderr));
        let supervisor = Supervisor {
            shared: shared.clone(),
            child,
            lines: Lines::new(stdout, spec.limits.line_bytes),
            answers: requests.clone().downgrade(),
        };
        tokio::spawn(async move {
            supervisor.run(words).await;
            let _ = done_sender.send(true);
        });
        Ok(Self {
            shared,
            requests,
            done,
        })
    }

    /// Whether it takes calls.
    pub(crate) fn is_alive(&self) -> bool {
        self.shared.calls.ended().is_none()
    }

    /// Ends it: stdin closed, TERM, KILL, with the close time between them. Open calls fail at once.
    pub(crate) async fn close(&self) {
        let closed = || format!("the plugin `{}` was closed", self.shared.name);
        self.shared.calls.end(closed);
        self.shared.enter(Phase::Closing);
        let _ = self.done.clone().wait_for(|done| *done).await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.shared.break_with("was dropped");
        self.shared.group.kill();
    }
}

impl Shared {
    /// Fails every call because the plugin did `what`, and kills it.
    pub(crate) fn break_with(&self, what: &str) {
        self.calls
            .end(|| format!("the plugin `{}` {what}", self.name));
        self.enter(Phase::Over);
    }

    /// Phases only go forward.
    fn enter(&self, phase: Phase) {
        self.phase.send_if_modified(|now| {
            let forward = *now == Phase::Running || (*now != phase && phase == Phase::Over);
            if forward {
                *now = phase;
            }
            forward
        });
    }

    fn words(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.last_words
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// "ended with exit status 3; last lines of its stderr: ..."
    fn death(&self, status: Option<ExitStatus>) -> String {
        let mut text = match status.map(|s| (s.code(), s.signal())) {
            Some((Some(code), _)) => format!("ended with exit status {code}"),
            Some((_, Some(signal))) => format!("was ended by signal {signal}"),
            _ => "ended".to_owned(),
        };
        let words = self.words();
        if !words.is_empty() {
            let lines: Vec<&str> = words.iter().map(String::as_str).collect();
            text.push_str("; last lines of its stderr: ");
            text.push_str(&lines.join(" / "));
        }
        if words.iter().any(|w| w.to_lowercase().contains("memory")) && self.limits.memory_bytes > 0
        {
            let mib = self.limits.memory_bytes >> 20;
            text.push_str(&format!(" (it may use {mib} MiB of memory)"));
        }
        text
    }
}

/// The shell sets the limits and then becomes the program: a limit cannot be set between fork and exec without
/// unsafe code. `ulimit -v` counts in KiB.
fn command(spec: &PluginSpec) -> Command {
    let kib = spec.limits.memory_bytes / 1024;
    let memory = if kib == 0 {
        String::new()
    } else {
        format!("ulimit -v {kib} 2>/dev/null; ")
    };
    let mut command = Command::new("/bin/sh");
    command
        .arg("-c")
        .arg(format!("ulimit -c 0 2>/dev/null; {memory}exec \"$@\""))
        .arg("sh")
        .args(&spec.program)
        .env_clear()
        .envs(spec.env.iter().map(|(k, v)| (k, v)))
        .current_dir(&spec.directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// Listens to a process until it ends, and sees to it that it does.
pub(crate) struct Supervisor {
    pub(crate) shared: Arc<Shared>,
    pub(crate) answers: mpsc::WeakSender<Vec<u8>>,
    child: Child,
    lines: Lines<ChildStdout>,
}

impl Supervisor {
    async fn run(mut self, stderr: JoinHandle<()>) {
        self.listen().await;
        let status = self.end().await;
        self.shared.group.leader_ended();
        let abort = stderr.abort_handle();
        if timeout(LAST_WORDS_TIME, stderr).await.is_err() {
            abort.abort();
        }
        let death = self.shared.death(status);
        self.shared.break_with(&death);
    }

    /// Serves what it writes, until it is to be ended or has ended, or closes its stdout.
    async fn listen(&mut self) {
        let mut phase = self.shared.phase.subscribe();
        loop {
            if *phase.borrow_and_update() != Phase::Running {
                return;
            }
            tokio::select! {
                _ = phase.changed() => {}
                line = self.lines.next() => match line {
                    None => return self.closed_stdout().await,
                    Some(line) => self.serve(line.bytes, line.cut).await,
                },
                _ = self.child.wait() => {
                    self.shared.group.leader_ended();
                    // What it wrote before it ended counts.
                    let _ = timeout(LAST_WORDS_TIME, async {
                        while let Some(line) = self.lines.next().await {
                            self.serve(line.bytes, line.cut).await;
                        }
                    })
                    .await;
                    return;
                }
            }
        }
    }

    async fn closed_stdout(&mut self) {
        if timeout(LAST_WORDS_TIME, self.child.wait()).await.is_err() {
            self.shared.break_with("closed its stdout");
        }
    }

    async fn serve(&mut self, line: Vec<u8>, cut: bool) {
        let served = if cut {
            let most = self.shared.limits.line_bytes;
            Err(format!(
                "wrote a line of more than {most} bytes: {}",
                shown(&line)
            ))
        } else {
            self.take(&line).await
        };
        if let Err(what) = served {
            self.shared.break_with(&what);
        }
    }

    /// Ends it as its phase says, and waits for that.
    async fn end(&mut self) -> Option<ExitStatus> {
        let patience = self.shared.limits.close_time;
        if *self.shared.phase.borrow() == Phase::Closing {
            if let Some(status) = self.ended_within(patience).await {
                return Some(status);
            }
            self.shared.group.terminate();
            if let Some(status) = self.ended_within(patience).await {
                return Some(status);
            }
        }
        self.shared.group.kill();
        self.child.wait().await.ok()
    }

    /// Waits for its end; what it writes is thrown away, so that it need not wait for us.
    async fn ended_within(&mut self, time: Duration) -> Option<ExitStatus> {
        let mut phase = self.shared.phase.subscribe();
        let child = &mut self.child;
        let lines = &mut self.lines;
        let ended = async {
            let mut open = true;
            loop {
                tokio::select! {
                    status = child.wait() => return status.ok(),
                    line = lines.next(), if open => open = line.is_some(),
                    _ = phase.wait_for(|p| *p == Phase::Over) => return None,
                }
            }
        };
        timeout(time, ended).await.ok().flatten()
    }
}

/// Writes lines to the plugin's stdin, and closes it when the plugin is to end.
async fn write_requests(
    shared: Arc<Shared>,
    mut lines: mpsc::Receiver<Vec<u8>>,
    mut stdin: ChildStdin,
) {
    let mut phase = shared.phase.subscribe();
    let ending = phase.wait_for(|p| *p != Phase::Running);
    tokio::pin!(ending);
    loop {
        let line = tokio::select! {
            _ = &mut ending => return,
            line = lines.recv() => match line {
                Some(line) => line,
                None => return,
            },
        };
        let written = tokio::select! {
            _ = &mut ending => return,
            written = stdin.write_all(&line) => written,
        };
        if written.is_err() {
            // It is most likely dying: then why it died says more.
            let _ = timeout(2 * LAST_WORDS_TIME, &mut ending).await;
            shared.break_with("closed its stdin");
            return;
        }
    }
}

/// Logs what the plugin writes to stderr, and keeps its last lines.
async fn read_stderr(shared: Arc<Shared>, stderr: ChildStderr) {
    let mut lines = Lines::new(stderr, STDERR_LINE);
    let mut room = STDERR_BYTES;
    while let Some(line) = lines.next().await {
        let text = String::from_utf8_lossy(&line.bytes);
        let text = text.trim_end();
        if text.is_empty() {
            continue;
        }
        {
            let mut words = shared.words();
            if words.len() == LAST_WORDS {
                words.pop_front();
            }
            words.push_back(shown(text.as_bytes()));
        }
        if room == 0 {
            continue;
        }
        room = room.saturating_sub(line.bytes.len());
        (shared.log)(LogLine::new(Level::Info, text));
        if room == 0 {
            let most = STDERR_BYTES >> 20;
            let message = format!(
                "the plugin `{}` has written {most} MiB to stderr: the rest is not logged",
                shared.name
            );
            (shared.log)(LogLine::new(Level::Warning, message));
        }
    }
}
