//! The job queue's law, on random tasklists with random outcomes: every run's events are checked against it.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use windlass_model::event::{RunEnd, What};
use windlass_model::ids::TaskId;
use windlass_model::outcome::{FailureKind, Outcome};
use windlass_testkit::fake::{FakeHosts, Lost, Rule, Script};
use windlass_testkit::play::Play;

#[derive(Clone, Debug)]
struct TaskCase {
    host: u8,
    retries: u32,
    delay: u32,
    /// How many attempts fail.
    fails: u32,
    how: How,
    takes: u64,
    last: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Status,
    Lost,
    Panic,
}

#[derive(Clone, Debug)]
struct StageCase {
    concurrency: usize,
    per_host: Option<usize>,
    max_failures: usize,
    finally: bool,
    jobs: Vec<Vec<TaskCase>>,
}

fn task() -> impl Strategy<Value = TaskCase> {
    let how = prop_oneof![4 => Just(How::Status), 2 => Just(How::Lost), 1 => Just(How::Panic)];
    let fails = prop_oneof![6 => Just(0u32), 1 => Just(1), 1 => Just(5)];
    let all = (
        0u8..5,
        0u32..3,
        0u32..4,
        fails,
        how,
        1u64..3000,
        any::<bool>(),
    );
    all.prop_map(|(host, retries, delay, fails, how, takes, last)| TaskCase {
        host,
        retries,
        delay,
        fails,
        how,
        takes,
        last,
    })
}

fn stage() -> impl Strategy<Value = StageCase> {
    let jobs = prop::collection::vec(prop::collection::vec(task(), 1..4), 0..10);
    let finally = prop_oneof![3 => Just(false), 1 => Just(true)];
    let limits = (1usize..6, prop::option::of(1usize..3), 0usize..4);
    (limits, finally, jobs).prop_map(|((concurrency, per_host, max_failures), finally, jobs)| {
        StageCase {
            concurrency,
            per_host,
            max_failures,
            finally,
            jobs,
        }
    })
}

fn host(n: u8) -> String {
    match n {
        0 => "local".to_owned(),
        n => format!("h{n}"),
    }
}

/// What a step is called: unique, and no part of another's name.
fn name(id: TaskId) -> String {
    format!("do {id};")
}

fn task_json(id: TaskId, case: &TaskCase) -> Value {
    let mut turns = vec![json!({"run": [name(id)], "last": case.last && case.how != How::Panic})];
    if case.how == How::Panic && case.fails > 0 {
        turns.push(json!({"panics": "a defect"}));
    }
    let mut task = json!({
        "command": "fake", "turns": turns, "retries": case.retries, "retry_delay": case.delay
    });
    if case.host > 0 {
        task["remote_host"] = host(case.host).into();
    }
    task
}

fn ids(stages: &[StageCase]) -> Vec<(TaskId, &TaskCase)> {
    let mut all = Vec::new();
    for (s, stage) in (1..).zip(stages) {
        for (j, job) in (1..).zip(&stage.jobs) {
            for (l, task) in (1..).zip(job) {
                all.push((TaskId::new(s, j, l), task));
            }
        }
    }
    all
}

fn tasklist(stages: &[StageCase]) -> Value {
    let stages: Vec<Value> = (1..)
        .zip(stages)
        .map(|(s, stage)| {
            let jobs: Vec<Value> = (1..)
                .zip(&stage.jobs)
                .map(|(j, job)| {
                    let tasks = (1..).zip(job);
                    let tasks: Vec<Value> = tasks
                        .map(|(l, t)| task_json(TaskId::new(s, j, l), t))
                        .collect();
                    match <[Value; 1]>::try_from(tasks) {
                        Ok([one]) => one,
                        Err(chain) => chain.into(),
                    }
                })
                .collect();
            let mut json = json!({
                "name": format!("Stage {s}"), "concurrency": stage.concurrency,
                "max_failures": stage.max_failures, "finally": stage.finally, "tasks": jobs
            });
            if let Some(limit) = stage.per_host {
                json["concurrency_per_host"] = limit.into();
            }
            json
        })
        .collect();
    json!({"name": "Random", "stages": stages})
}

fn script(stages: &[StageCase]) -> Script {
    let mut rules = Vec::new();
    for (id, task) in ids(stages) {
        let rule = Rule::on(&name(id)).takes(task.takes);
        if task.fails > 0 && task.how != How::Panic {
            let failing = rule.clone().times(task.fails);
            rules.push(match task.how {
                How::Lost => failing.lost(Lost::After),
                _ => failing.status(1),
            });
        }
        rules.push(rule);
    }
    Script {
        steps: rules,
        ..Script::default()
    }
}

/// A job, by stage and number.
type JobId = (u32, u32);

/// Walks over the events of a run and knows what the law allows.
struct Judge<'a> {
    stages: &'a [StageCase],
    interrupts: u8,
    left_out: HashSet<String>,
    queued: Vec<JobId>,
    running: Vec<JobId>,
    /// Jobs of which a task failed, in the stage.
    failed: Vec<JobId>,
    /// The stage that is open.
    open: Option<u32>,
    /// A stage failed, or the run was interrupted.
    stopped: bool,
    outcomes: BTreeMap<TaskId, Outcome>,
    attempts: BTreeMap<TaskId, u32>,
}

impl<'a> Judge<'a> {
    fn stage(&self, number: u32) -> &'a StageCase {
        &self.stages[number as usize - 1]
    }

    fn job(&self, job: JobId) -> &'a [TaskCase] {
        &self.stage(job.0).jobs[job.1 as usize - 1]
    }

    fn hosts(&self, job: JobId) -> HashSet<String> {
        self.job(job).iter().map(|t| host(t.host)).collect()
    }

    /// Whether nothing new may start.
    fn is_held(&self, stage: u32) -> bool {
        let case = self.stage(stage);
        let patience = if case.finally { 2 } else { 1 };
        self.failed.len() > case.max_failures || self.interrupts >= patience
    }

    /// The job that the law starts next.
    fn due(&self, stage: u32) -> Option<JobId> {
        let case = self.stage(stage);
        if self.is_held(stage) || self.running.len() >= case.concurrency {
            return None;
        }
        let busy = |host: &String| {
            self.running
                .iter()
                .filter(|j| self.hosts(**j).contains(host))
                .count()
        };
        let has_room = |job: &&JobId| {
            let hosts = self.hosts(**job);
            hosts
                .iter()
                .all(|h| case.per_host.is_none_or(|limit| busy(h) < limit))
        };
        self.queued.iter().find(has_room).copied()
    }

    fn see(&mut self, what: &What) -> Result<(), TestCaseError> {
        match what {
            What::StageStarted { stage, .. } => self.stage_started(*stage)?,
            What::StageFinished { stage, ok, .. } => {
                prop_assert_eq!(self.open.take(), Some(*stage));
                prop_assert!(self.running.is_empty(), "what runs is awaited");
                prop_assert!(self.queued.is_empty() || self.is_held(*stage));
                let within = self.failed.len() <= self.stage(*stage).max_failures;
                prop_assert_eq!(*ok, within && self.queued.is_empty());
                self.stopped |= !ok || self.interrupts > 0;
            }
            What::TaskStarted { task, attempt } => self.task_started(task.id, *attempt)?,
            What::TaskSent { .. } => {
                prop_assert!(self.interrupts < 2, "sent after the second interrupt")
            }
            What::TaskFinished { task, outcome, .. } => self.task_finished(task.id, outcome)?,
            What::Interrupted { times } => self.interrupts = *times,
            _ => {}
        }
        Ok(())
    }

    fn stage_started(&mut self, stage: u32) -> Result<(), TestCaseError> {
        let case = self.stage(stage);
        prop_assert!(
            !self.stopped || case.finally,
            "a stage began after the run had stopped"
        );
        prop_assert!(self.interrupts < 2);
        self.open = Some(stage);
        self.failed.clear();
        let jobs = (1..).zip(&case.jobs).map(|(j, _)| (stage, j));
        self.queued = jobs
            .filter(|job| case.finally || self.hosts(*job).is_disjoint(&self.left_out))
            .collect();
        Ok(())
    }

    fn task_started(&mut self, id: TaskId, attempt: u32) -> Result<(), TestCaseError> {
        let job = (id.stage, id.task);
        prop_assert!(
            !self.outcomes.contains_key(&id),
            "{} began after its end",
            id
        );
        let before = self.attempts.insert(id, attempt).unwrap_or(0);
        prop_assert_eq!(attempt, before + 1);
        if id.link == 1 && attempt == 1 {
            prop_assert_eq!(self.due(id.stage), Some(job), "{} started out of turn", id);
            self.queued.retain(|j| *j != job);
            self.running.push(job);
        }
        prop_assert!(self.running.contains(&job));
        for link in 1..id.link {
            let before = self.outcomes.get(&TaskId::new(id.stage, id.task, link));
            prop_assert!(
                before.is_some_and(Outcome::lets_go_on),
                "{} began too early",
                id
            );
        }
        Ok(())
    }

    fn task_finished(&mut self, id: TaskId, outcome: &Outcome) -> Result<(), TestCaseError> {
        let job = (id.stage, id.task);
        let twice = self.outcomes.insert(id, outcome.clone());
        prop_assert!(twice.is_none(), "{} has two outcomes", id);
        if !self.running.contains(&job) {
            let is_so = matches!(outcome, Outcome::NotRun(_));
            prop_assert!(is_so, "{} never started: {}", id, outcome);
            if self.open != Some(id.stage) {
                let is_left =
                    (self.stopped || self.interrupts > 0) && !self.stage(id.stage).finally;
                prop_assert!(
                    is_left || self.interrupts == 2,
                    "the stage of {} did not run",
                    id
                );
            }
            return Ok(());
        }
        match outcome {
            Outcome::NotRun(_) => prop_assert!(self.failed.contains(&job) || self.interrupts >= 2),
            Outcome::Failed(_) | Outcome::Unknown(_) => prop_assert!(!self.failed.contains(&job)),
            _ => {}
        }
        // What comes of the job counts when it ends, but the law looks at it before.
        let is_last = id.link as usize == self.job(job).len();
        if is_last && self.interrupts < 2 {
            let due = self.without(job).due(id.stage);
            prop_assert_eq!(
                due,
                None,
                "{:?} had room and waited for the end of {}",
                due,
                id
            );
        }
        if !outcome.lets_go_on() && !self.failed.contains(&job) {
            self.failed.push(job);
            let hosts = self.hosts(job);
            self.left_out.extend(hosts);
        }
        if is_last {
            self.running.retain(|j| *j != job);
        }
        Ok(())
    }

    /// As it was while `job` ran: its failure counts only once it has ended.
    fn without(&self, job: JobId) -> Judge<'a> {
        Judge {
            stages: self.stages,
            interrupts: self.interrupts,
            left_out: HashSet::new(),
            queued: self.queued.clone(),
            running: self.running.clone(),
            failed: self.failed.iter().copied().filter(|j| *j != job).collect(),
            open: self.open,
            stopped: self.stopped,
            outcomes: BTreeMap::new(),
            attempts: BTreeMap::new(),
        }
    }
}

/// What an undisturbed attempt to run a task to its end gives.
fn expected(case: &TaskCase) -> &'static str {
    match case.how {
        _ if case.fails == 0 => "changed",
        How::Panic => "failed",
        _ if case.fails <= case.retries => "changed",
        How::Status => "failed",
        How::Lost => "unknown",
    }
}

fn check(stages: &[StageCase], interrupts: &[u64]) -> Result<(), TestCaseError> {
    let mut play = Play::new(tasklist(stages), script(stages)).unwrap();
    play.interrupts = interrupts
        .iter()
        .map(|ms| Duration::from_millis(*ms))
        .collect();
    let played = play.play().unwrap();
    let report = played.report.unwrap();
    let mut judge = Judge {
        stages,
        interrupts: 0,
        left_out: HashSet::new(),
        queued: Vec::new(),
        running: Vec::new(),
        failed: Vec::new(),
        open: None,
        stopped: false,
        outcomes: BTreeMap::new(),
        attempts: BTreeMap::new(),
    };
    for what in &played.events {
        judge.see(what)?;
    }
    let all = ids(stages);
    prop_assert_eq!(
        judge.outcomes.len(),
        all.len(),
        "every task has its outcome"
    );
    let mut failed = HashSet::new();
    for (id, case) in &all {
        let outcome = &judge.outcomes[id];
        let killed = matches!(outcome, Outcome::Failed(f) if f.kind == FailureKind::Interrupted);
        let was_begun = judge.attempts.contains_key(id);
        prop_assert_eq!(
            was_begun,
            !matches!(outcome, Outcome::NotRun(_)),
            "{}: {}",
            id,
            outcome
        );
        if was_begun && judge.interrupts < 2 {
            prop_assert_eq!(outcome.word(), expected(case), "{}", id);
        }
        prop_assert!(!killed || judge.interrupts == 2);
        if matches!(outcome, Outcome::Failed(_) | Outcome::Unknown(_)) {
            failed.insert((id.stage, id.task));
        }
        if case.how == How::Panic && outcome.word() == "failed" && !killed {
            let is_panic = matches!(outcome, Outcome::Failed(f) if f.kind == FailureKind::Panic);
            prop_assert!(is_panic, "{}: {}", id, outcome);
        }
    }
    let unknown = judge.outcomes.values().any(|o| o.word() == "unknown");
    let not_run = judge.outcomes.values().any(|o| o.word() == "not run");
    let wanted = match judge.interrupts {
        _ if unknown => RunEnd::Unknown,
        0 if failed.is_empty() && !not_run => RunEnd::Succeeded,
        0 => RunEnd::Failed,
        _ => RunEnd::Interrupted,
    };
    prop_assert_eq!(report.end, wanted);
    if judge.interrupts < 2 {
        prop_assert_eq!(report.failed, failed.len());
    }
    check_hosts(stages, &played.hosts, judge.interrupts, interrupts)
}

/// What the hosts themselves saw.
fn check_hosts(
    stages: &[StageCase],
    hosts: &FakeHosts,
    interrupts: u8,
    at: &[u64],
) -> Result<(), TestCaseError> {
    let most = stages.iter().map(|s| s.concurrency).max().unwrap_or(0);
    prop_assert!(hosts.most_at_once() <= most);
    let most = stages
        .iter()
        .map(|s| s.per_host.unwrap_or(usize::MAX))
        .max();
    prop_assert!(hosts.most_on_hosts().values().all(|n| Some(*n) <= most));
    if let ([_, second], 2) = (at, interrupts) {
        let late = Duration::from_millis(*second);
        prop_assert!(
            hosts.sent().iter().all(|sent| sent.at < late),
            "sent after the second interrupt"
        );
        prop_assert!(
            hosts.done().iter().all(|done| done.at < late),
            "done after the second interrupt"
        );
    }
    Ok(())
}

fn stages() -> impl Strategy<Value = Vec<StageCase>> {
    prop::collection::vec(stage(), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_run_keeps_to_the_law(stages in stages()) {
        check(&stages, &[])?;
    }

    #[test]
    fn an_interrupted_run_keeps_to_the_law(
        stages in stages(),
        first in 0u64..6000,
        second in prop::option::of(0u64..6000),
    ) {
        let first = first * 2 + 1;
        let interrupts: Vec<u64> = [Some(first), second.map(|s| first + s * 2)].into_iter().flatten().collect();
        check(&stages, &interrupts)?;
    }
}
