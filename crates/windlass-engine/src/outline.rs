//! What a host would be made to run, printed without a host: each task's steps in order, those that depend on a reply
//! marked as such.

use std::fmt::Write as _;
use std::time::Duration;

use windlass_model::ids::{HostName, RunId};
use windlass_model::step::{As, PutSource, Reply, Run, Step, Via, Want};

use crate::command::{Facts, Repeat, Seen, Turn};
use crate::executor::{Prepared, PreparedJob, PreparedTask, probe_script};

/// Turns that are followed at most; a command that waits for a state takes any number.
const TURNS: usize = 8;

/// A task's steps as far as they can be known.
#[derive(Debug)]
pub struct Outline {
    /// Known for certain.
    pub certain: Vec<Step>,
    /// Done when the replies so far are good ones.
    pub depending: Vec<Step>,
    /// Whether a plugin does it: what it asks for is not known.
    pub is_opaque: bool,
}

/// Follows a command with good replies: status 0, a file that had to be sent, an answer of 200.
pub fn outline(task: &PreparedTask, run: &RunId) -> Outline {
    let facts = Facts {
        run: run.clone(),
        task: task.id,
        host: task.host.clone(),
        now: 0,
        user: if task.use_sudo { As::root() } else { As::Login },
    };
    let mut outline = Outline {
        certain: Vec::new(),
        depending: Vec::new(),
        is_opaque: false,
    };
    let mut seen: Vec<Seen> = Vec::new();
    for turn in 0..TURNS {
        let (steps, last) = match task.code.turn(&facts, &seen) {
            Turn::Do(steps) => (steps, false),
            Turn::Last(steps) => (steps, true),
            Turn::Wait { steps, .. } => (steps, false),
            Turn::Call(_) => {
                outline.is_opaque = true;
                break;
            }
            Turn::End(_) => break,
        };
        seen.extend(steps.iter().map(|step| Seen {
            reply: good_reply(step),
            at: Duration::ZERO,
        }));
        let known = if turn == 0 {
            &mut outline.certain
        } else {
            &mut outline.depending
        };
        for step in steps {
            if !known.contains(&step) {
                known.push(step);
            }
        }
        if last {
            break;
        }
    }
    outline
}

fn good_reply(step: &Step) -> Reply {
    match step {
        Step::Run(Run { want, .. }) => Reply::Ran {
            status: match want {
                Want::Status(status) => *status,
                Want::Ours | Want::Any => 0,
            },
            stdout: String::new(),
            stderr: String::new(),
        },
        Step::Put(_) => Reply::Put {
            sent: true,
            bytes: 0,
        },
        Step::Dial(_) => Reply::Dialed {
            answer: String::new(),
        },
        Step::Http(_) => Reply::Http {
            status: 200,
            body: String::new(),
        },
        Step::Log(_) => Reply::Logged,
    }
}

/// Prints what runs on `host` (on every host if none is given), in the order of the tasklist. Secrets are shown as
/// references.
pub fn show(prepared: &Prepared, host: Option<&HostName>, run: &RunId) -> String {
    let mut text = String::new();
    for (number, stage) in prepared.stages.iter().enumerate() {
        let mut heading = Some(format!(
            "# Stage {}: {} (concurrency {}{})",
            number + 1,
            stage.name,
            stage.limits.concurrency,
            stage
                .limits
                .per_host
                .map_or(String::new(), |n| format!(", per host {n}"))
        ));
        for job in &stage.jobs {
            let mut shown = String::new();
            for task in &job.tasks {
                if host.is_none_or(|h| task.host == *h || task.code.other_hosts().contains(h)) {
                    show_task(&mut shown, task, run);
                }
            }
            let shown = with_receipt(shown, job, host);
            if shown.is_empty() {
                continue;
            }
            if let Some(heading) = heading.take() {
                let _ = writeln!(text, "{heading}\n");
            }
            text.push_str(&shown);
        }
    }
    text
}

fn show_task(text: &mut String, task: &PreparedTask, run: &RunId) {
    let outline = outline(task, run);
    let rights = if task.use_sudo { " with sudo" } else { "" };
    let repeat = match task.code.repeat() {
        Repeat::Safe => "",
        Repeat::Check => "; checked before it is done again",
        Repeat::Ask => "; never done again unasked",
    };
    let _ = writeln!(
        text,
        "## {} {} on {}{rights}{repeat}",
        task.id, task.command, task.host
    );
    for step in &outline.certain {
        show_step(text, step);
    }
    if !outline.depending.is_empty() {
        let _ = writeln!(text, "# then, depending on the replies:");
        for step in &outline.depending {
            show_step(text, step);
        }
    }
    if outline.is_opaque {
        let _ = writeln!(text, "# opaque: a plugin decides what it runs here");
    }
    text.push('\n');
}

/// The tasks of a job that leaves a receipt, between what the engine itself does on the host.
fn with_receipt(tasks: String, job: &PreparedJob, host: Option<&HostName>) -> String {
    let (Some(plan), Some(first)) = (&job.receipt, job.tasks.first()) else {
        return tasks;
    };
    if host.is_some_and(|h| first.host != *h) {
        return tasks;
    }
    let (service, location, on) = (&plan.service, &plan.install_location, &first.host);
    let probe = probe_script([(location.as_str(), service.as_str())]);
    format!(
        "## what {on} runs of {service}, asked before\n{}\n\n{tasks}\
         ## the receipt of {service} {} on {on}, left whatever came of it\n\
         # written to {location}/.windlass/receipts/{service}\n\n",
        probe.script, plan.version
    )
}

fn show_step(text: &mut String, step: &Step) {
    let _ = match step {
        Step::Run(run) => {
            for (name, value) in &run.env {
                let _ = writeln!(text, "# with {name}={value}");
            }
            if let Some(cwd) = &run.cwd {
                let _ = writeln!(text, "# in {cwd}");
            }
            writeln!(text, "{}", run.script.trim_end())
        }
        Step::Put(put) => {
            let mode = put.mode.map_or(String::new(), |m| format!(" mode {m:04o}"));
            match &put.source {
                PutSource::File { path, .. } => {
                    writeln!(text, "# put {} as {}{mode}", path.display(), put.to)
                }
                PutSource::Bytes(bytes) => {
                    let size = bytes.to_string().len();
                    writeln!(text, "# put {size} bytes as {}{mode}", put.to)
                }
            }
        }
        Step::Dial(dial) => {
            let via = via(&dial.via);
            writeln!(
                text,
                "# to {}{via}: {}",
                dial.to,
                dial.send.to_string().trim_end()
            )
        }
        Step::Http(http) => writeln!(text, "# {} {}{}", http.method, http.url, via(&http.via)),
        Step::Log(say) => writeln!(text, "# log: {}", say.message),
    };
}

fn via(via: &Via) -> String {
    match via {
        Via::Task => String::new(),
        Via::Host(host) => format!(" from {host}"),
    }
}
