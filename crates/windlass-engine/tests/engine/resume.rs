//! Runs that are gone on with, cut off at any event.

use proptest::prelude::*;
use serde_json::{Value, json};
use windlass_engine::executor::Told;
use windlass_model::event::{RunEnd, What};
use windlass_model::ids::{HostName, TaskId};
use windlass_testkit::fake::{FakeHosts, Script};
use windlass_testkit::play::Play;

use crate::support::*;

/// A task of one program that is named for it.
fn one(repeat: &str, host: &str, script: &str) -> Value {
    let mut task = json!({
        "command": "fake", "remote_host": host, "repeat": repeat, "turns": [{"run": [script], "last": true}],
    });
    if repeat == "check" {
        task["check"] = json!(format!("was done: {script}"));
    }
    task
}

/// A run, and those that go on with it, on the same hosts.
struct Story {
    tasklist: Value,
    hosts: FakeHosts,
    /// The journal.
    events: Vec<What>,
}

impl Story {
    fn new(tasklist: Value, script: Script) -> Self {
        Self {
            tasklist,
            hosts: FakeHosts::new(script),
            events: Vec::new(),
        }
    }

    fn play(&self) -> Play {
        Play {
            hosts: self.hosts.clone(),
            ..Play::new(self.tasklist.clone(), Script::default()).unwrap()
        }
    }

    /// Runs it until its journal is cut off.
    fn cut(&mut self, cut: usize) {
        let mut play = self.play();
        play.cut = Some(cut);
        self.events = play.play().unwrap().events;
    }

    /// Goes on with it, on hosts that follow another script.
    fn resume(&mut self, script: Script, told: Told) -> Run {
        self.hosts.then(script);
        let mut play = self.play();
        play.resume = Some((self.events.clone(), told));
        let run = Run::from(play.play().unwrap());
        self.events.extend(run.events.iter().cloned());
        run
    }

    /// How often a program was run.
    fn times(&self, script: &str) -> usize {
        let done = self.hosts.done_texts();
        done.iter().filter(|d| *d == script).count()
    }

    fn unknown(run: &Run) -> Vec<TaskId> {
        let of = |what: &What| match what {
            What::TaskFinished { task, outcome, .. } if outcome.word() == "unknown" => {
                Some(task.id)
            }
            _ => None,
        };
        run.events.iter().filter_map(of).collect()
    }

    /// Goes on with it, and answers what is asked truthfully, until it has succeeded.
    fn finish(&mut self, scripts: &[(TaskId, String)], keeps: bool) {
        let mut told = Told::default();
        for _ in 0..20 {
            let kept = if keeps { json!([{}]) } else { json!([]) };
            let script = serde_json::from_value(json!({ "kept": kept })).unwrap();
            let run = self.resume(script, told);
            told = Told::default();
            if run.end() == RunEnd::Succeeded {
                assert!(run.report.owed.is_empty(), "{:?}", run.report.owed);
                return;
            }
            assert_eq!(run.end(), RunEnd::Unknown, "{:?}", run.events);
            assert!(!keeps, "asked, though the hosts know");
            let unknown = Self::unknown(&run);
            // Those that were not looked at are not asked for.
            let asked = unknown.iter().filter(|id| {
                run.outcome(&id.to_string())
                    .to_string()
                    .contains("--run-again")
            });
            for id in asked {
                let script = &scripts.iter().find(|(of, _)| of == id).unwrap().1;
                match self.times(script) {
                    0 => told.run_again.push(*id),
                    _ => told.assume_done.push(*id),
                }
            }
        }
        panic!("it comes to no end");
    }
}

/// A tasklist of chains of these kinds of tasks; each program is named for its task.
fn random(stages: &[Vec<Vec<u8>>]) -> (Value, Vec<(TaskId, String)>) {
    let mut scripts = Vec::new();
    let stages: Vec<Value> = stages
        .iter()
        .zip(1..)
        .map(|(jobs, s)| {
            let jobs: Vec<Value> = jobs
                .iter()
                .zip(1..)
                .map(|(kinds, j)| {
                    let links = kinds.iter().zip(1..).map(|(kind, l)| {
                        let script = format!("do {s}.{j}.{l}");
                        scripts.push((TaskId::new(s, j, l), script.clone()));
                        let key = format!("k {s}.{j}");
                        match kind {
                            0 => one("ask", "h1", &script),
                            1 => one("check", "h1", &script),
                            2 => with(one("safe", "h1", &script), json!({"opens": [key]})),
                            3 => one("safe", "h2", &script),
                            _ => one("safe", "h1", &script),
                        }
                    });
                    let mut links: Vec<Value> = links.collect();
                    let last = links.len() as u32 + 1;
                    let script = format!("close {s}.{j}");
                    scripts.push((TaskId::new(s, j, last), script.clone()));
                    links.push(with(
                        one("safe", "h1", &script),
                        json!({"closes": [format!("k {s}.{j}")]}),
                    ));
                    json!(links)
                })
                .collect();
            json!({"name": format!("S{s}"), "concurrency": 2, "tasks": jobs})
        })
        .collect();
    (tasklist(json!(stages)), scripts)
}

/// Cuts a run off at an event and goes on with it to its end.
fn cut_and_go_on(tasklist: &Value, scripts: &[(TaskId, String)], cut: usize, keeps: bool) {
    let mut story = Story::new(tasklist.clone(), Script::default());
    story.cut(cut);
    story.finish(scripts, keeps);
    for (id, script) in scripts {
        let times = story.times(script);
        let task = &tasklist["stages"][id.stage as usize - 1]["tasks"][id.task as usize - 1]
            [id.link as usize - 1];
        match task["repeat"].as_str() {
            Some("safe") => assert!(times >= 1, "{id} was not done, cut at {cut}"),
            _ => assert_eq!(times, 1, "{id}, cut at {cut}, keeps: {keeps}"),
        }
    }
}

fn length(tasklist: &Value) -> usize {
    play(tasklist.clone(), Script::default()).events.len()
}

#[test]
fn wherever_it_was_cut_off_all_is_done_and_nothing_twice_that_may_not_be() {
    let (list, scripts) = random(&[
        vec![vec![4, 4, 0, 2, 1, 4, 4, 0], vec![2, 0, 3, 1]],
        vec![vec![1], vec![4, 4, 4, 4], vec![0, 0]],
    ]);
    for cut in 1..=length(&list) {
        cut_and_go_on(&list, &scripts, cut, true);
        cut_and_go_on(&list, &scripts, cut, false);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn random_tasklists_come_to_their_end(
        stages in prop::collection::vec(prop::collection::vec(prop::collection::vec(0u8..6, 0..5), 1..4), 1..3),
        cut in any::<prop::sample::Index>(),
        keeps in any::<bool>(),
    ) {
        let (list, scripts) = random(&stages);
        let cut = cut.index(length(&list)) + 1;
        cut_and_go_on(&list, &scripts, cut, keeps);
    }
}

/// A chain that drains, does something that may not be repeated, and enables.
fn chain() -> Value {
    let work = one("ask", "h1", "work");
    one_stage(json!([[
        with(one("safe", "h1", "drain"), json!({"opens": ["k"]})),
        work,
        with(one("safe", "h1", "enable"), json!({"closes": ["k"]}))
    ]]))
}

/// The chain, cut off right after `work` was sent.
fn cut_at_work(script: Value) -> Story {
    let mut story = Story::new(chain(), self::script(script));
    let whole = play(chain(), Script::default()).events;
    let sent =
        |w: &What| matches!(w, What::TaskSent { task, .. } if task.id == TaskId::new(1, 1, 2));
    story.cut(whole.iter().position(sent).unwrap() + 1);
    story
}

fn kept(remains: Value) -> Script {
    serde_json::from_value(json!({ "kept": [remains] })).unwrap()
}

#[test]
fn a_chain_goes_on_where_it_failed_and_pays_what_it_owes() {
    let mut story = Story::new(chain(), script(json!([{"on": "work", "status": 3}])));
    story.cut(1000);
    let run = story.resume(Script::default(), Told::default());
    assert_eq!(run.end(), RunEnd::Succeeded);
    assert_eq!(run.words(&["1.1.2", "1.1.3"]), ["changed"; 2]);
    assert!(
        run.outcomes("1.1.1").is_empty(),
        "it is done, and not told again"
    );
    assert_eq!(
        (run.owed(), run.report.owed.len()),
        (vec!["-k".to_owned()], 0)
    );
    assert_eq!((story.times("drain"), story.times("work")), (1, 2));
    let attempts = story.events.iter().filter_map(|w| match w {
        What::TaskSent { task, attempt } if task.id.link == 2 => Some(*attempt),
        _ => None,
    });
    assert_eq!(
        attempts.collect::<Vec<_>>(),
        [1, 2],
        "attempts go on counting"
    );
}

#[test]
fn what_still_runs_is_waited_for() {
    let mut story = cut_at_work(json!([]));
    let run = story.resume(kept(json!({"running": 3})), Told::default());
    assert_eq!(run.words(&["1.1.2", "1.1.3"]), ["changed"; 2]);
    assert!(story.times("work") <= 1);
}

#[test]
fn what_ended_badly_meanwhile_has_failed() {
    let mut story = cut_at_work(json!([]));
    let run = story.resume(kept(json!({"then": {"status": 3}})), Told::default());
    assert_eq!(run.words(&["1.1.2", "1.1.3"]), ["failed", "not run"]);
    assert_eq!(
        (run.end(), run.report.owed.clone()),
        (RunEnd::Failed, vec!["k".to_owned()])
    );
    let before = story.times("work");
    let run = story.resume(Script::default(), Told::default());
    assert_eq!(
        (run.end(), story.times("work")),
        (RunEnd::Succeeded, before + 1)
    );
}

#[test]
fn what_nobody_knows_is_asked() {
    let id = TaskId::new(1, 1, 2);
    let again = Told {
        run_again: vec![id],
        ..Told::default()
    };
    let done = Told {
        assume_done: vec![id],
        ..Told::default()
    };
    for (told, more) in [(again, 1), (done, 0)] {
        let mut story = cut_at_work(json!([]));
        for _ in 0..2 {
            let run = story.resume(kept(json!({"then": "cut_off"})), Told::default());
            assert_eq!(run.words(&["1.1.2", "1.1.3"]), ["unknown", "not run"]);
            let asks = run.outcome("1.1.2").to_string();
            assert!(
                asks.contains("--assume-done 1.1.2") && asks.contains("--run-again 1.1.2"),
                "{asks}"
            );
            assert_eq!(run.end(), RunEnd::Unknown);
        }
        let before = story.times("work");
        let run = story.resume(Script::default(), told);
        assert_eq!(
            (run.end(), story.times("work")),
            (RunEnd::Succeeded, before + more)
        );
    }
}

#[test]
fn a_host_that_cannot_be_asked_leaves_it_unknown() {
    let mut story = cut_at_work(json!([]));
    let before = story.times("work");
    let silent = serde_json::from_value(json!({"refuse": [{}]})).unwrap();
    let run = story.resume(silent, Told::default());
    assert_eq!(run.words(&["1.1.2", "1.1.3"]), ["unknown", "not run"]);
    assert_eq!((run.end(), story.times("work")), (RunEnd::Unknown, before));
}

#[test]
fn work_that_was_ended_from_here_is_not_just_done_again() {
    let slow = with(one("ask", "h1", "work"), json!({"time_limit": 5}));
    let mut story = Story::new(
        one_stage(json!([slow])),
        script(json!([{"on": "work", "hangs": true}])),
    );
    story.cut(1000);
    let run = story.resume(kept(json!({"then": "cut_off"})), Told::default());
    assert_eq!(
        (run.words(&["1.1.1"]), story.times("work")),
        (vec!["unknown"], 1)
    );
}

#[test]
fn a_distrusted_host_is_done_again_from_the_start() {
    let jobs = json!([chain()["stages"][0]["tasks"][0], one("ask", "h2", "other")]);
    let mut story = Story::new(
        one_stage(jobs),
        script(json!([{"on": "enable", "status": 1}])),
    );
    story.cut(1000);
    let told = Told {
        redo: vec![HostName::new("h1")],
        ..Told::default()
    };
    let run = story.resume(Script::default(), told);
    assert_eq!(run.words(&["1.1.1", "1.1.2", "1.1.3"]), ["changed"; 3]);
    assert_eq!(
        (run.end(), run.owed()),
        (RunEnd::Succeeded, vec!["-k".to_owned()])
    );
    assert_eq!(
        ["drain", "work", "enable", "other"].map(|s| story.times(s)),
        [2, 2, 2, 1]
    );
}

#[test]
fn what_is_owed_and_can_be_paid_by_nothing_is_said() {
    let mut story = Story::new(
        one_stage(json!([
            with(one("safe", "h1", "drain"), json!({"opens": ["k"]})),
            one("safe", "h2", "bad")
        ])),
        script(json!([{"on": "bad", "status": 1}])),
    );
    story.cut(1000);
    let run = story.resume(Script::default(), Told::default());
    let said = |w: &What| matches!(w, What::Log { message, .. } if message.contains("`k` is owed, and no task that is left"));
    assert!(run.events.iter().any(said), "{:?}", run.events);
    assert_eq!(run.report.owed, ["k"]);
}

#[test]
fn stages_that_run_in_any_case_run_again() {
    let mut list = tasklist(json!([
        {"name": "A", "concurrency": 1, "tasks": [one("safe", "h1", "work")]},
        {"name": "F", "concurrency": 1, "tasks": [one("safe", "h1", "tidy")], "finally": true}
    ]));
    list["stages"][0]["max_failures"] = json!(0);
    let mut story = Story::new(list, script(json!([{"on": "work", "status": 1}])));
    story.cut(1000);
    let run = story.resume(Script::default(), Told::default());
    assert_eq!((run.end(), story.times("tidy")), (RunEnd::Succeeded, 2));
}

#[test]
fn the_receipt_tells_what_was_there_before_the_run() {
    let mut list = chain();
    list["plan"] = json!({"receipts": [
        {"job": "1.1", "service": "shop", "version": "2.0", "from": "0.9", "install_location": "/srv"}
    ]});
    let stands = |version: &str| json!({"on": "probe '/srv' 'shop'", "stdout": format!("S shop\nL shop_{version}\nR \n")});
    let broken = script(json!([stands("1.0"), {"on": "enable", "status": 1}]));
    let mut story = Story::new(list, broken);
    story.cut(1000);
    // The first part swapped the link: that the version runs there is no reason to skip the rest.
    let run = story.resume(script(json!([stands("2.0")])), Told::default());
    assert_eq!(run.words(&["1.1.3"]), ["changed"]);
    let of = |what: &What| match what {
        What::Receipt { receipt, .. } => Some((receipt.result.clone(), receipt.from.clone())),
        _ => None,
    };
    let receipts: Vec<_> = story.events.iter().filter_map(of).collect();
    let from = Some("1.0".to_owned());
    assert_eq!(
        receipts,
        [
            ("failed".to_owned(), from.clone()),
            ("succeeded".to_owned(), from)
        ]
    );
    let run = story.resume(script(json!([stands("2.0")])), Told::default());
    let started = |w: &What| matches!(w, What::StageStarted { .. } | What::Receipt { .. });
    assert!(
        !run.events.iter().any(started),
        "nothing is left, the receipt neither"
    );
}

#[test]
fn a_receipt_that_is_missing_is_left_when_all_else_is_done() {
    let mut list = chain();
    list["plan"] = json!({"receipts": [
        {"job": "1.1", "service": "shop", "version": "2.0", "install_location": "/srv"}
    ]});
    let whole = play(list.clone(), Script::default()).events;
    let mut story = Story::new(list, Script::default());
    story.cut(
        whole
            .iter()
            .position(|w| matches!(w, What::Receipt { .. }))
            .unwrap(),
    );
    let run = story.resume(Script::default(), Told::default());
    assert!(run.events.iter().any(|w| matches!(w, What::Receipt { .. })));
    assert_eq!((run.end(), story.times("drain")), (RunEnd::Succeeded, 1));
}

#[test]
fn what_the_operator_says_must_fit_the_run() {
    let mut story = Story::new(chain(), script(json!([{"on": "work", "status": 3}])));
    story.cut(1000);
    let id = |link| TaskId::new(1, 1, link);
    let told = Told {
        redo: vec![HostName::new("h11")],
        assume_done: vec![id(1), id(3), id(9)],
        run_again: vec![id(2), id(2)],
    };
    let mut play = story.play();
    play.resume = Some((story.events.clone(), told));
    let faults = play.play().unwrap().report.unwrap_err().to_string();
    for wanted in [
        "--redo h11: no task of the run is for that host",
        "did you mean `h1`?",
        "--assume-done 1.1.1: that task is done",
        "--assume-done 1.1.3: that task was not begun",
        "--assume-done 1.1.9: that task is not in the run",
        "--run-again 1.1.2: that task is named twice",
    ] {
        assert!(faults.contains(wanted), "{wanted}\n{faults}");
    }
}

#[test]
fn a_task_of_several_turns_goes_on_at_the_turn_that_it_stood_at() {
    let turns = json!([{"run": ["look"]}, {"run": ["work"]}, {"run": ["note"], "last": true}]);
    let task = json!({"command": "fake", "remote_host": "h1", "repeat": "ask", "turns": turns});
    let tasklist = one_stage(json!([[task, one("safe", "h1", "after")]]));
    let all = Story::new(tasklist.clone(), Script::default());
    let length = all.play().play().unwrap().events.len();
    for cut in 1..length {
        let mut story = Story::new(tasklist.clone(), Script::default());
        story.cut(cut);
        let run = story.resume(Script::default(), Told::default());
        assert_eq!(
            run.end(),
            RunEnd::Succeeded,
            "cut at {cut}: {:?}",
            run.events
        );
        for script in ["look", "work", "note"] {
            assert_eq!(story.times(script), 1, "{script}, cut at {cut}");
        }
    }
}
