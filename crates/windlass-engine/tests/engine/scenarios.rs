//! Scenarios as data: `tests/scenarios/NAME.json` says what is run on what hosts, `NAME.events` what must come of it,
//! one line an event, then every batch that the hosts were sent. With `UPDATE_SCENARIOS=1` the latter are written anew.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use windlass_model::event::{Stream, TaskRef, What};
use windlass_model::ids::HostName;
use windlass_testkit::fake::{FakeHosts, Script};
use windlass_testkit::play::Play;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    /// What it shows.
    about: String,
    tasklist: Value,
    #[serde(default)]
    hosts: Script,
    /// Milliseconds.
    #[serde(default)]
    interrupts: Vec<u64>,
    #[serde(default)]
    without: Vec<HostName>,
    #[serde(default)]
    user: Option<String>,
}

#[test]
fn scenarios_come_out_as_written() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let update = std::env::var_os("UPDATE_SCENARIOS").is_some();
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        count += 1;
        let scenario: Scenario = serde_json::from_str(&fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let got = play(scenario);
        let beside = path.with_extension("events");
        if update {
            fs::write(&beside, &got).unwrap();
        } else if fs::read_to_string(&beside).unwrap_or_default() != got {
            wrong.push(format!("{} is not what came:\n{got}", beside.display()));
        }
    }
    assert!(count >= 8, "where are the scenarios?");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn play(scenario: Scenario) -> String {
    let mut text = format!("# {}\n", scenario.about);
    let mut play = match Play::new(scenario.tasklist, scenario.hosts) {
        Ok(play) => play,
        Err(faults) => return format!("{text}{}", lines(faults.0.iter().map(|d| d.to_string()))),
    };
    play.interrupts = scenario
        .interrupts
        .into_iter()
        .map(Duration::from_millis)
        .collect();
    play.without = scenario.without;
    play.user = scenario.user;
    let played = play.play().unwrap();
    if let Err(faults) = &played.report {
        text += &lines(faults.0.iter().map(|d| d.to_string()));
    }
    text += &lines(played.events.iter().map(event));
    text + "--- sent\n" + &lines(sent(&played.hosts).into_iter())
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.map(|line| line + "\n").collect()
}

fn name(task: &TaskRef) -> String {
    let tag = task
        .tag
        .as_ref()
        .map(|t| format!(" [{t}]"))
        .unwrap_or_default();
    format!("{} on {}{tag}", task.id, task.host)
}

fn event(what: &What) -> String {
    match what {
        What::RunStarted {
            name,
            stages,
            tasks,
            ..
        } => format!("run {name:?}: {stages} stages, {tasks} tasks"),
        What::RunResumed { left, .. } => format!("resumed: {left} left"),
        What::LeftOut { hosts } => {
            let hosts: Vec<&str> = hosts.iter().map(HostName::as_str).collect();
            format!("left out: {}", hosts.join(", "))
        }
        What::StageStarted {
            stage, name, jobs, ..
        } => format!("stage {stage} {name:?}: {jobs} jobs"),
        What::TaskSent { task, attempt } => format!("sent {} #{attempt}", name(task)),
        What::TaskStarted { task, attempt } => format!("started {} #{attempt}", name(task)),
        What::Output { task, stream, line } => {
            let stream = if *stream == Stream::Stdout {
                "out"
            } else {
                "err"
            };
            format!("{stream} {} | {line}", task.id)
        }
        What::Progress { task, done, total } => {
            format!("progress {}: {done} of {total}", name(task))
        }
        What::TaskRetried {
            task,
            attempt,
            outcome,
            delay,
        } => {
            format!(
                "again {} in {delay} s after #{attempt}: {outcome}",
                name(task)
            )
        }
        What::TaskFinished {
            task,
            outcome,
            output,
            ..
        } => {
            let output = output
                .as_ref()
                .map(|o| format!(" <{}>", o.replace('\n', "/")));
            format!(
                "finished {}: {outcome}{}",
                name(task),
                output.unwrap_or_default()
            )
        }
        What::Owed { task, key, open } => {
            format!(
                "{} {}: {key:?}",
                if *open { "opened" } else { "closed" },
                name(task)
            )
        }
        What::Receipt { host, receipt } => format!(
            "receipt on {host}: {} {} -> {}, {}, owes {:?}",
            receipt.service,
            receipt.from.as_deref().unwrap_or("nothing"),
            receipt.to,
            receipt.result,
            receipt.owed
        ),
        What::StageFinished { stage, ok, .. } => {
            format!("stage {stage} {}", if *ok { "ok" } else { "failed" })
        }
        What::Log {
            level,
            component,
            host,
            message,
            ..
        } => {
            let host = host.as_ref().map_or("*", HostName::as_str);
            format!("log {level:?} {component} {host}: {message}")
        }
        What::Interrupted { times } => format!("interrupted {times}"),
        What::RunFinished { end, failed, owed } => {
            format!("run {end:?}: {failed} failed, owes {owed:?}")
        }
    }
}

/// Receipts hold the time; what asks for them and leaves them is long.
fn sent(hosts: &FakeHosts) -> Vec<String> {
    let line = |text: &String| match text {
        text if text.starts_with("probe()") => "(asks what stands there)".to_owned(),
        text if text.contains("/.windlass/receipts/") => "(leaves the receipt)".to_owned(),
        text => text.clone(),
    };
    let sent = hosts.sent();
    let batch = |s: &windlass_testkit::fake::Sent| {
        let user = s.user.as_ref().map(|u| format!("{u}@")).unwrap_or_default();
        let ahead = if s.ahead { " ahead" } else { "" };
        let steps: Vec<String> = s.steps.iter().map(line).collect();
        format!(
            "{:>6} ms {user}{} {}{ahead}: {}",
            s.at.as_millis(),
            s.host,
            s.task,
            steps.join("; ")
        )
    };
    let killed = hosts.killed();
    sent.iter()
        .map(batch)
        .chain(killed.iter().map(|host| format!("killed on {host}")))
        .collect()
}
