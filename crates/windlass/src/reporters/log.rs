//! The seed's log lines: time, level, component, host, tag, message.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use windlass_engine::command::camel_case;
use windlass_engine::events::Sink;
use windlass_model::event::{Event, TaskRef, What};
use windlass_model::ids::HostName;
use windlass_model::outcome::Outcome;
use windlass_model::step::Level;

/// Commands whose programs' output is what the user wants to see.
const SHOWN_OUTPUT: [&str; 2] = ["execute_command", "dbmigration"];

/// Where lines go: standard error, above the progress if there is any.
pub(crate) trait Lines: Send {
    /// Takes whole lines, each with its line break.
    fn write(&mut self, lines: &str) -> io::Result<()>;
}

impl<W: io::Write + Send> Lines for W {
    fn write(&mut self, lines: &str) -> io::Result<()> {
        self.write_all(lines.as_bytes())?;
        self.flush()
    }
}

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verbosity {
    /// Warnings and errors.
    Quiet,
    /// What goes on.
    Normal,
    /// All.
    Verbose,
}

/// Writes log lines.
pub(crate) struct Log<L> {
    out: L,
    verbosity: Verbosity,
    zone: TimeZone,
    /// Whether progress is drawn below: tasks that went well then need no line.
    calm: bool,
    /// Tasks that logged something themselves since they began.
    spoke: HashSet<(String, HostName)>,
}

/// One line of the log, before it is text.
struct Line<'a> {
    level: Level,
    component: &'a str,
    host: &'a str,
    tag: &'a str,
    message: &'a str,
}

impl<L: Lines> Log<L> {
    /// Writes to `out`, with times of `zone`.
    pub(crate) fn new(out: L, verbosity: Verbosity, zone: TimeZone) -> Self {
        Self {
            out,
            verbosity,
            zone,
            calm: false,
            spoke: HashSet::new(),
        }
    }

    /// Leaves out the lines of tasks that went well: progress tells of them.
    pub(crate) fn calm(mut self) -> Self {
        self.calm = true;
        self
    }

    fn shows(&self, level: Level) -> bool {
        match self.verbosity {
            Verbosity::Quiet => level >= Level::Warning,
            Verbosity::Normal => level >= Level::Info,
            Verbosity::Verbose => true,
        }
    }

    fn line(&self, text: &mut String, at: i64, line: &Line<'_>) {
        if !self.shows(line.level) {
            return;
        }
        let time = Timestamp::from_microsecond(at)
            .unwrap_or_default()
            .to_zoned(self.zone.clone())
            .strftime("%Y-%m-%d %H:%M:%S,%3f");
        let level = match line.level {
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Warning => "WARNING",
            Level::Error => "ERROR",
        };
        let Line {
            component,
            host,
            tag,
            ..
        } = line;
        for message in line.message.lines() {
            let message = printable(message);
            let _ = writeln!(
                text,
                "{time} [{level:<8}] [{component:<15}] [{host}] [{tag}] {message}"
            );
        }
    }

    fn about(&self, text: &mut String, at: i64, level: Level, task: &TaskRef, message: &str) {
        let component = camel_case(&task.command);
        let line = Line {
            level,
            component: &component,
            host: task.host.as_str(),
            tag: task.tag.as_deref().unwrap_or("*"),
            message,
        };
        self.line(text, at, &line);
    }

    fn executor(&self, text: &mut String, at: i64, level: Level, message: &str) {
        let line = Line {
            level,
            component: "Executor",
            host: "*",
            tag: "*",
            message,
        };
        self.line(text, at, &line);
    }

    fn event(&mut self, text: &mut String, event: &Event) {
        let at = event.at;
        match &event.what {
            What::Log {
                level,
                component,
                host,
                tag,
                message,
            } => {
                if let Some(host) = host {
                    self.spoke.insert((component.clone(), host.clone()));
                }
                let line = Line {
                    level: *level,
                    component,
                    host: host.as_ref().map_or("*", HostName::as_str),
                    tag: tag.as_deref().unwrap_or("*"),
                    message,
                };
                self.line(text, at, &line);
            }
            What::StageStarted { name, .. } => {
                self.executor(text, at, Level::Info, &format!("Starting stage: {name}"));
            }
            What::StageFinished { name, ok: true, .. } => {
                self.executor(text, at, Level::Info, &format!("Finished stage: {name}"));
            }
            What::StageFinished {
                name, ok: false, ..
            } => {
                self.executor(text, at, Level::Error, &format!("Stage failed: {name}"));
            }
            What::TaskStarted { task, .. } => {
                self.spoke
                    .remove(&(camel_case(&task.command), task.host.clone()));
                self.about(
                    text,
                    at,
                    Level::Debug,
                    task,
                    &format!("Starting task {}", task.id),
                );
            }
            What::Output { task, line, .. } => {
                let shown = SHOWN_OUTPUT.contains(&task.command.as_str());
                let level = if shown { Level::Info } else { Level::Debug };
                self.about(text, at, level, task, &format!("| {line}"));
            }
            What::TaskRetried {
                task,
                attempt,
                outcome,
                delay,
            } => {
                let message = format!("Attempt {attempt}: {outcome}; again in {delay} s");
                self.about(text, at, Level::Warning, task, &message);
            }
            What::TaskFinished {
                task,
                outcome,
                millis,
                ..
            } => {
                let spoke = self
                    .spoke
                    .remove(&(camel_case(&task.command), task.host.clone()));
                let level = match outcome {
                    Outcome::Failed(_) | Outcome::Unknown(_) => Level::Error,
                    Outcome::Changed | Outcome::Skipped(_) if !spoke && !self.calm => Level::Info,
                    _ => Level::Debug,
                };
                let took = match millis {
                    0..1000 => String::new(),
                    millis => format!(" ({:.1} s)", *millis as f64 / 1000.0),
                };
                self.about(
                    text,
                    at,
                    level,
                    task,
                    &format!("Task {}: {outcome}{took}", task.id),
                );
            }
            What::Owed { task, key, open } => {
                let verb = if *open {
                    "Owed from here on"
                } else {
                    "No longer owed"
                };
                self.about(text, at, Level::Debug, task, &format!("{verb}: {key}"));
            }
            What::Receipt { host, receipt } => {
                let message = format!(
                    "Receipt left: {} {} {}",
                    receipt.service, receipt.to, receipt.result
                );
                let line = Line {
                    level: Level::Debug,
                    component: "Executor",
                    host: host.as_str(),
                    tag: &receipt.service,
                    message: &message,
                };
                self.line(text, at, &line);
            }
            What::Interrupted { times: 1 } => {
                let message =
                    "Interrupted: running jobs finish, nothing new starts; once more ends them";
                self.executor(text, at, Level::Warning, message);
            }
            What::Interrupted { .. } => {
                self.executor(
                    text,
                    at,
                    Level::Warning,
                    "Interrupted again: ending what runs on the hosts",
                );
            }
            What::RunResumed { run, left, .. } => {
                let message = format!("Going on with run {run}: {left} tasks are left");
                self.executor(text, at, Level::Info, &message);
            }
            What::RunStarted { .. }
            | What::LeftOut { .. }
            | What::RunFinished { .. }
            | What::TaskSent { .. }
            | What::Progress { .. } => {}
        }
    }
}

/// Without characters that would move a terminal's cursor.
fn printable(message: &str) -> String {
    message
        .chars()
        .map(|c| {
            if c.is_control() && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

impl<L: Lines> Sink for Log<L> {
    fn accept(&mut self, events: &[Event]) -> io::Result<()> {
        let mut text = String::new();
        for event in events {
            self.event(&mut text, event);
        }
        if text.is_empty() {
            return Ok(());
        }
        self.out.write(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_as_in_the_seed() {
        let mut log = Log::new(Vec::new(), Verbosity::Normal, TimeZone::UTC);
        let events = [
            What::StageStarted {
                stage: 1,
                name: "Test stage".into(),
                jobs: 1,
                tasks: 1,
            },
            What::Log {
                level: Level::Info,
                component: "TestCommand".into(),
                host: Some(HostName::local()),
                tag: None,
                message: "Executing test command: Hello World / None".into(),
            },
        ]
        .map(|what| Event {
            at: 1_417_620_541_886_000,
            what,
        });
        log.accept(&events).unwrap();
        assert_eq!(
            String::from_utf8(log.out).unwrap(),
            "2014-12-03 15:29:01,886 [INFO    ] [Executor       ] [*] [*] Starting stage: Test stage\n\
             2014-12-03 15:29:01,886 [INFO    ] [TestCommand    ] [local] [*] Executing test command: Hello World / None\n"
        );
    }
}
