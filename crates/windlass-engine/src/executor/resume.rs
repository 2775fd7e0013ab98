//! What is left of a run that ended or was cut off: from the events of its journal to a decision for each task. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use windlass_model::diagnostic::{Diagnostic, Diagnostics, nearest};
use windlass_model::event::{Process, What};
use windlass_model::ids::{HostName, TaskId};
use windlass_model::outcome::{FailureKind, Outcome};

use super::prepare::{Prepared, PreparedJob, PreparedTask};
use crate::command::Repeat;

/// What the operator says about a run that is to go on.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Hosts whose work is not trusted: all of their jobs are done again, from the start.
    pub redo: Vec<HostName>,
    /// Tasks that began and came to no good end, but were done.
    pub assume_done: Vec<TaskId>,
    /// Tasks that began and came to no good end, and may be run again.
    pub run_again: Vec<TaskId>,
}

/// What a resumed run does about a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is proven done, or the operator says so.
    Skip,
    /// It was not begun, or failed, or is safe to repeat.
    Do,
    /// It was begun, nobody knows how far it came, and it may not simply be done again.
    Settle,
}

/// What came of a task so far.
#[derive(Clone, Debug, PartialEq)]
enum Past {
    NotBegun,
    /// Begun, and no end is known; in which words that was said.
    Begun(Option<String>),
    Failed,
    Done,
}

/// A task so far.
#[derive(Clone, Debug)]
struct TaskSoFar {
    past: Past,
    /// How many attempts were made.
    attempts: u32,
    /// Whether it was sent since the run was last resumed.
    sent_now: bool,
    decision: Decision,
}

/// A job so far.
#[derive(Clone, Debug, Default)]
struct JobSoFar {
    /// Whether any of its tasks began.
    begun: bool,
    /// Whether the receipt that it leaves is there, and says that it succeeded.
    has_receipt: bool,
    /// The version before the run, as its first receipt says.
    from: Option<String>,
}

/// A run that is gone on with.
#[derive(Clone, Debug)]
pub struct Resumption {
    /// The process that goes on with it.
    pub process: Process,
    told: Told,
    tasks: HashMap<TaskId, TaskSoFar>,
    /// Hosts, and with whose rights, that something is to be settled on by what they kept.
    awaited: HashSet<(HostName, bool)>,
    /// By stage and job.
    jobs: HashMap<(u32, u32), JobSoFar>,
    /// Key -> the task that opened it; not closed.
    owed: BTreeMap<String, TaskId>,
    /// What the events call owed; differs where the run was cut off between an effect and its event.
    told_owed: BTreeMap<String, TaskId>,
}

/// Works out what is left. The events are those of the run's journal, in order; `prepared` is its tasklist.
///
/// Errors are about what the operator said: a host or task that is not in the run, a task that did not begin or is
/// done.
pub fn resumption(
    prepared: &Prepared,
    events: impl IntoIterator<Item = What>,
    told: Told,
    process: Process,
) -> Result<Resumption, Diagnostics> {
    let index: HashMap<TaskId, (&PreparedJob, &PreparedTask)> = prepared
        .jobs()
        .flat_map(|job| job.tasks.iter().map(move |task| (task.id, (&**job, task))))
        .collect();
    let mut resumption = Resumption {
        process,
        told,
        tasks: index.keys().map(|id| (*id, TaskSoFar::new())).collect(),
        awaited: HashSet::new(),
        jobs: HashMap::new(),
        owed: BTreeMap::new(),
        told_owed: BTreeMap::new(),
    };
    for what in events {
        resumption.happened(prepared, &index, &what);
    }
    resumption.check(prepared)?;
    let told = resumption.told.clone();
    resumption.resumed(prepared, &index, &told);
    for (id, (_, task)) in &index {
        if let Some(so_far) = resumption.tasks.get_mut(id) {
            so_far.decision = match so_far.past {
                Past::Done => Decision::Skip,
                Past::Begun(_) if task.code.repeat() != Repeat::Safe => Decision::Settle,
                _ => Decision::Do,
            };
            if so_far.decision == Decision::Settle {
                let keeper = (task.host.clone(), task.use_sudo);
                resumption.awaited.insert(keeper);
            }
        }
    }
    Ok(resumption)
}

type Index<'a> = HashMap<TaskId, (&'a PreparedJob, &'a PreparedTask)>;

impl TaskSoFar {
    fn new() -> Self {
        Self {
            past: Past::NotBegun,
            attempts: 0,
            sent_now: false,
            decision: Decision::Do,
        }
    }
}

impl Resumption {
    fn happened(&mut self, prepared: &Prepared, index: &Index<'_>, what: &What) {
        match what {
            What::RunResumed {
                redo,
                assumed_done,
                run_again,
                ..
            } => {
                let told = Told {
                    redo: redo.clone(),
                    assume_done: assumed_done.clone(),
                    run_again: run_again.clone(),
                };
                self.resumed(prepared, index, &told);
            }
            What::TaskStarted { task, attempt } => {
                self.job(task.id).begun = true;
                if let Some(so_far) = self.tasks.get_mut(&task.id) {
                    so_far.attempts = so_far.attempts.max(*attempt);
                }
            }
            What::TaskSent { task, attempt } => {
                self.job(task.id).begun = true;
                if let Some(so_far) = self.tasks.get_mut(&task.id) {
                    so_far.attempts = so_far.attempts.max(*attempt);
                    so_far.sent_now = true;
                    so_far.past = Past::Begun(None);
                }
                for key in index
                    .get(&task.id)
                    .map_or(Vec::new(), |t| t.1.code.owes().opens)
                {
                    self.owed.entry(key).or_insert(task.id);
                }
            }
            What::TaskRetried { task, outcome, .. } | What::TaskFinished { task, outcome, .. } => {
                self.ended(index, task.id, outcome);
            }
            What::Owed { task, key, open } => {
                if *open {
                    self.owed.entry(key.clone()).or_insert(task.id);
                    self.told_owed.entry(key.clone()).or_insert(task.id);
                } else {
                    self.owed.remove(key);
                    self.told_owed.remove(key);
                }
            }
            What::Receipt { host, receipt } => {
                let left_by = |job: &&std::sync::Arc<PreparedJob>| {
                    let plan = job.receipt.as_ref();
                    plan.is_some_and(|p| p.service == receipt.service && p.version == receipt.to)
                        && job.tasks.first().is_some_and(|t| t.host == *host)
                };
                let first = prepared.jobs().find(left_by).and_then(|j| j.tasks.first());
                if let Some(id) = first.map(|task| task.id) {
                    let job = self.job(id);
                    job.has_receipt = receipt.result == "succeeded";
                    if job.from.is_none() {
                        job.from.clone_from(&receipt.from);
                    }
                }
            }
            _ => {}
        }
    }

    fn ended(&mut self, index: &Index<'_>, id: TaskId, outcome: &Outcome) {
        let Some(so_far) = self.tasks.get_mut(&id) else {
            return;
        };
        let was_sent = matches!(so_far.past, Past::Begun(_));
        so_far.past = match outcome {
            outcome if outcome.lets_go_on() => Past::Done,
            Outcome::Unknown(why) => Past::Begun(Some(why.clone())),
            // An end that the host told is one that is known; work that was ended from here may have come any way.
            Outcome::Failed(failure) => match failure.kind {
                FailureKind::Command => Past::Failed,
                FailureKind::Unreachable | FailureKind::Denied if so_far.sent_now => Past::Failed,
                _ if was_sent => Past::Begun(Some(outcome.to_string())),
                _ => Past::Failed,
            },
            // Taken back before its host began it; unless it was in flight when the run was resumed, and not looked at.
            _ if so_far.sent_now => Past::NotBegun,
            _ => so_far.past.clone(),
        };
        if so_far.past == Past::Done {
            self.closed_by(index, id);
        }
    }

    fn closed_by(&mut self, index: &Index<'_>, id: TaskId) {
        for key in index
            .get(&id)
            .map_or(Vec::new(), |t| t.1.code.owes().closes)
        {
            self.owed.remove(&key);
        }
    }

    /// What it means that the run is resumed, with these words of the operator.
    fn resumed(&mut self, prepared: &Prepared, index: &Index<'_>, told: &Told) {
        for stage in &prepared.stages {
            for job in &stage.jobs {
                let is_distrusted = job.hosts.iter().any(|h| told.redo.contains(h));
                if let Some(first) = job.tasks.first().filter(|_| is_distrusted) {
                    let job = self.job(first.id);
                    (job.begun, job.has_receipt) = (true, false);
                }
                for task in &job.tasks {
                    let Some(so_far) = self.tasks.get_mut(&task.id) else {
                        continue;
                    };
                    so_far.sent_now = false;
                    if so_far.past == Past::Done && (stage.finally || is_distrusted) {
                        so_far.past = Past::NotBegun;
                    }
                    if told.run_again.contains(&task.id) {
                        so_far.past = Past::Failed;
                    }
                }
            }
        }
        for id in &told.assume_done {
            if let Some(so_far) = self.tasks.get_mut(id) {
                so_far.past = Past::Done;
            }
            self.closed_by(index, *id);
        }
    }

    fn check(&self, prepared: &Prepared) -> Result<(), Diagnostics> {
        let mut faults = Diagnostics::new();
        let hosts: BTreeSet<&HostName> = prepared.jobs().flat_map(|job| &job.hosts).collect();
        for host in self.told.redo.iter().filter(|host| !hosts.contains(host)) {
            faults.push(unknown_host(host, &hosts));
        }
        let asked = |ids: &[TaskId], option: &'static str| {
            ids.iter().map(|id| (*id, option)).collect::<Vec<_>>()
        };
        let mut seen = HashSet::new();
        for (id, option) in asked(&self.told.assume_done, "--assume-done")
            .into_iter()
            .chain(asked(&self.told.run_again, "--run-again"))
        {
            let (why, hint) = match self.tasks.get(&id).map(|so_far| &so_far.past) {
                _ if !seen.insert(id) => ("is named twice", "say one thing about it"),
                None => ("is not in the run", "`windlass runs show` lists its tasks"),
                Some(Past::NotBegun) => ("was not begun", "it is done when its turn comes"),
                Some(Past::Done) => ("is done", "`--redo HOST` does all of a host again"),
                Some(Past::Begun(_) | Past::Failed) => continue,
            };
            faults.push(Diagnostic::error(format!("{option} {id}: that task {why}")).hint(hint));
        }
        faults.or(())
    }

    fn job(&mut self, id: TaskId) -> &mut JobSoFar {
        self.jobs.entry((id.stage, id.task)).or_default()
    }

    /// What to do about a task.
    pub fn decision(&self, id: TaskId) -> Decision {
        self.tasks.get(&id).map_or(Decision::Do, |t| t.decision)
    }

    /// How many attempts of a task were made.
    pub fn attempts(&self, id: TaskId) -> u32 {
        self.tasks.get(&id).map_or(0, |t| t.attempts)
    }

    /// Whether something that was begun on a host with these rights is to be settled.
    pub(crate) fn awaits(&self, host: &HostName, use_sudo: bool) -> bool {
        self.awaited.contains(&(host.clone(), use_sudo))
    }

    /// Why the end of a task that is to be settled is not known.
    pub fn why_unknown(&self, id: TaskId) -> String {
        match self.tasks.get(&id).map(|t| &t.past) {
            Some(Past::Begun(Some(why))) => why.clone(),
            _ => "it was under way when the run was cut off".to_owned(),
        }
    }

    /// Whether a job has nothing left to do, its receipt included.
    pub(crate) fn is_done(&self, job: &PreparedJob) -> bool {
        let Some(first) = job.tasks.first() else {
            return true;
        };
        let so_far = self.jobs.get(&(first.id.stage, first.id.task));
        let owes_receipt =
            job.receipt.is_some() && so_far.is_some_and(|j| j.begun && !j.has_receipt);
        !owes_receipt
            && job
                .tasks
                .iter()
                .all(|t| self.decision(t.id) == Decision::Skip)
    }

    /// Whether a job was begun; what its host runs is no reason to skip it then.
    pub(crate) fn is_begun(&self, job: &PreparedJob) -> bool {
        let first = job.tasks.first().map(|t| (t.id.stage, t.id.task));
        first
            .and_then(|id| self.jobs.get(&id))
            .is_some_and(|j| j.begun)
    }

    /// The version that stood on a job's host before the run, as the run's own receipt there says.
    pub(crate) fn from(&self, job: &PreparedJob) -> Option<&str> {
        let first = job.tasks.first().map(|t| (t.id.stage, t.id.task))?;
        self.jobs.get(&first)?.from.as_deref()
    }

    /// What a job opened and nothing closed.
    pub(crate) fn opened_by(&self, job: &PreparedJob) -> BTreeSet<String> {
        let opened = self
            .owed
            .iter()
            .filter(|(_, id)| job.tasks.iter().any(|t| t.id == **id));
        opened.map(|(key, _)| key.clone()).collect()
    }

    /// What is owed from before.
    pub(crate) fn owed(&self) -> BTreeSet<String> {
        self.owed.keys().cloned().collect()
    }

    /// Keys whose opening (true) or closing (false) was never told: the task and the key.
    pub(crate) fn untold(&self) -> Vec<(TaskId, String, bool)> {
        let new = self
            .owed
            .iter()
            .filter(|(key, _)| !self.told_owed.contains_key(*key));
        let gone = self
            .told_owed
            .iter()
            .filter(|(key, _)| !self.owed.contains_key(*key));
        let new = new.map(|(key, id)| (*id, key.clone(), true));
        new.chain(gone.map(|(key, id)| (*id, key.clone(), false)))
            .collect()
    }

    /// Keys that are owed and that no task which is left closes.
    pub(crate) fn unpayable(&self, prepared: &Prepared) -> Vec<String> {
        let left = prepared
            .tasks()
            .filter(|t| self.decision(t.id) != Decision::Skip);
        let closed: HashSet<String> = left.flat_map(|t| t.code.owes().closes).collect();
        self.owed
            .keys()
            .filter(|key| !closed.contains(*key))
            .cloned()
            .collect()
    }

    /// How many tasks are left.
    pub(crate) fn left(&self, prepared: &Prepared) -> usize {
        let is_left = |t: &&PreparedTask| self.decision(t.id) != Decision::Skip;
        prepared.tasks().filter(is_left).count()
    }

    /// What the operator said.
    pub(crate) fn told(&self) -> &Told {
        &self.told
    }
}

/// A host that no task of a run is for.
fn unknown_host(host: &HostName, hosts: &BTreeSet<&HostName>) -> Diagnostic {
    let hint = match nearest(host.as_str(), hosts.iter().map(|h| h.as_str())) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`windlass runs show` lists its hosts".to_owned(),
    };
    Diagnostic::error(format!(
        "--redo {host}: no task of the run is for that host"
    ))
    .hint(hint)
}
