//! Every task of every stage is initialized before the first job starts.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Display;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;

use futures_util::{FutureExt, StreamExt, stream};
use windlass_model::diagnostic::{Diagnostic, Diagnostics};
use windlass_model::ids::{HostName, TaskId};
use windlass_model::receipt::ReceiptPlan;
use windlass_model::tasklist::{DEFAULT_TIME_LIMIT, Plan, Stage, Task, Tasklist};

use crate::availability::{self, Finder, TakenOut, Watched};
use crate::command::{Command, InitContext};
use crate::events::Events;
use crate::queue::Limits;
use crate::registry::Registry;

/// How many commands are initialized at once; built-in ones take no time, a plugin's take a round trip.
const AT_ONCE: usize = 32;

/// A tasklist whose every command is initialized.
pub struct Prepared {
    /// The tasklist's name.
    pub name: String,
    /// Its stages.
    pub stages: Vec<PreparedStage>,
    /// What its generator added.
    pub plan: Plan,
    /// Services of which so many hosts must stay healthy.
    pub watched: Arc<Vec<Watched>>,
}

/// A stage, ready to run.
pub struct PreparedStage {
    /// Its name.
    pub name: String,
    /// Its limits.
    pub limits: Limits,
    /// Whether it runs whatever happened before.
    pub finally: bool,
    /// Its jobs.
    pub jobs: Vec<Arc<PreparedJob>>,
}

/// A task or chain, ready to run.
pub struct PreparedJob {
    /// The hosts that it counts against.
    pub hosts: Vec<HostName>,
    /// Its tasks in order; at least one.
    pub tasks: Vec<PreparedTask>,
    /// The receipt that it leaves.
    pub receipt: Option<ReceiptPlan>,
    /// Hosts of watched services that it takes out.
    pub takes_out: Vec<TakenOut>,
}

/// A task, ready to run.
pub struct PreparedTask {
    /// Its id.
    pub id: TaskId,
    /// The name of its command.
    pub command: String,
    /// The component of its log lines.
    pub component: Arc<str>,
    /// Where it acts.
    pub host: HostName,
    /// As whom.
    pub user: Option<String>,
    /// What it is about.
    pub tag: Option<String>,
    /// Whether through sudo.
    pub use_sudo: bool,
    /// Seconds; `None` for no limit.
    pub time_limit: Option<u64>,
    /// How often it is tried again.
    pub retries: u32,
    /// Seconds between tries.
    pub retry_delay: u32,
    /// What it does.
    pub code: Box<dyn Command>,
}

impl Prepared {
    /// Every job, in order.
    pub fn jobs(&self) -> impl Iterator<Item = &Arc<PreparedJob>> {
        self.stages.iter().flat_map(|s| &s.jobs)
    }

    /// Every task, in order.
    pub fn tasks(&self) -> impl Iterator<Item = &PreparedTask> {
        self.jobs().flat_map(|j| &j.tasks)
    }

    /// Every host that is asked whether it is healthy, `local` left out.
    pub fn asked_hosts(&self) -> BTreeSet<HostName> {
        let asks = self.watched.iter().flat_map(|s| &s.hosts);
        let tasks = asks.flat_map(|host| &host.ask);
        let mut hosts: BTreeSet<HostName> = tasks
            .flat_map(|t| std::iter::once(t.host.clone()).chain(t.code.other_hosts()))
            .collect();
        hosts.remove(&HostName::local());
        hosts
    }

    /// Every host that the run will change something on or through, `local` left out.
    pub fn hosts(&self) -> BTreeSet<HostName> {
        let mut hosts: BTreeSet<HostName> = self
            .tasks()
            .flat_map(|t| std::iter::once(t.host.clone()).chain(t.code.other_hosts()))
            .collect();
        hosts.remove(&HostName::local());
        hosts
    }
}

/// Initializes every command. Log lines that commands say go to `events` in order. Gives every fault at once; nothing
/// has been touched then.
pub async fn prepare(
    tasklist: &Tasklist,
    registry: &Registry,
    base: &Path,
    events: &Events,
) -> Result<Prepared, Diagnostics> {
    let plan = tasklist.plan.clone().unwrap_or_default();
    let mut faults = Diagnostics::new();
    let source = tasklist.source.as_ref().map(|s| &s.0);
    let initialized = stream::iter(tasklist.tasks().map(|(id, task)| {
        let pinned = &plan.files;
        async move {
            let stage = tasklist.stages.get(id.stage as usize - 1);
            let place = Place { stage, id, task };
            let path = TaskPath { stage, id };
            let cx = InitContext {
                task,
                id,
                source,
                place: &place,
                path: &path,
                base,
                pinned,
            };
            initialize(registry, &cx).await
        }
    }))
    .buffered(AT_ONCE);
    // As a trait object, so that the future of this function is `Send` whoever awaits it.
    let mut initialized = initialized.boxed();
    let receipts: HashMap<&str, &ReceiptPlan> =
        plan.receipts.iter().map(|r| (r.job.as_str(), r)).collect();
    let finder = Finder::new(&plan);
    faults.extend(astray(tasklist, &plan));
    let mut stages = Vec::with_capacity(tasklist.stages.len());
    for (s, stage) in tasklist.stages.iter().enumerate() {
        let mut jobs = Vec::with_capacity(stage.jobs.len());
        for (j, job) in stage.jobs.iter().enumerate() {
            let mut tasks = Vec::with_capacity(job.tasks().len());
            for (l, task) in job.tasks().iter().enumerate() {
                let id = TaskId::new(s as u32 + 1, j as u32 + 1, l as u32 + 1);
                match initialized.next().await {
                    Some(Ok((code, component))) => {
                        for (level, message) in code.said() {
                            events
                                .send(windlass_model::event::What::Log {
                                    level,
                                    component: component.to_string(),
                                    host: None,
                                    tag: task.tag.clone(),
                                    message,
                                })
                                .await;
                        }
                        tasks.push(prepared_task(id, task, code, component));
                    }
                    Some(Err(found)) => faults.extend(found),
                    None => break,
                }
            }
            let name = format!("{}.{}", s + 1, j + 1);
            let mut job = PreparedJob {
                hosts: job.hosts(),
                tasks,
                receipt: receipts.get(name.as_str()).copied().cloned(),
                takes_out: Vec::new(),
            };
            job.takes_out = finder.taken_out(&job);
            jobs.push(Arc::new(job));
        }
        stages.push(PreparedStage {
            name: stage.name.clone(),
            limits: Limits {
                concurrency: stage.concurrency as usize,
                per_host: stage.concurrency_per_host.map(|n| n as usize),
                max_failures: stage.max_failures.unwrap_or(0) as usize,
            },
            finally: stage.finally,
            jobs,
        });
    }
    drop(initialized);
    let mut asks = HashMap::new();
    for (s, service) in plan.min_healthy.keys().enumerate() {
        match questions(&plan, service, registry, base).await {
            Ok(hosts) => asks.extend(hosts.into_iter().map(|(h, tasks)| ((s, h), tasks))),
            Err(found) => faults.extend(found),
        }
    }
    let watched = availability::watched(&plan, asks);
    if faults.0.is_empty() {
        faults.extend(availability::prove(&watched, &stages));
    }
    faults.or(Prepared {
        name: tasklist.name.clone(),
        stages,
        plan,
        watched: Arc::new(watched),
    })
}

/// The tasks that ask the hosts of a service whether they are healthy, by the number of the host.
async fn questions(
    plan: &Plan,
    service: &str,
    registry: &Registry,
    base: &Path,
) -> Result<Vec<(usize, Vec<PreparedTask>)>, Diagnostics> {
    let mut faults = Diagnostics::new();
    let mut questions = Vec::new();
    let hosts = plan.min_healthy.get(service).map(|s| s.hosts.as_slice());
    for (h, host) in hosts.unwrap_or_default().iter().enumerate() {
        let path = format!("plan.min_healthy.{service}.hosts[{h}]");
        let place = format!("the health of {service} on {}", host.host);
        let tasks = match host.tasks(&path, &place) {
            Ok(tasks) => tasks,
            Err(found) => {
                faults.extend(found);
                continue;
            }
        };
        let mut asked = Vec::with_capacity(tasks.len());
        for (n, task) in tasks.iter().enumerate() {
            let path = format!("{path}.ask[{n}]");
            let cx = InitContext {
                task,
                id: QUESTION,
                source: None,
                place: &place,
                path: &path,
                base,
                pinned: &plan.files,
            };
            match initialize(registry, &cx).await {
                Ok((code, component)) => asked.push(prepared_task(QUESTION, task, code, component)),
                Err(found) => faults.extend(found),
            }
        }
        questions.push((h, asked));
    }
    faults.or(questions)
}

/// The id of what is no task of the tasklist.
pub(crate) const QUESTION: TaskId = TaskId {
    stage: 0,
    task: 0,
    link: 0,
};

/// Receipts that name no job, or one whose tasks are tagged with other services: the tasklist was edited, its plan was not.
fn astray(tasklist: &Tasklist, plan: &Plan) -> Diagnostics {
    let job = |name: &str| {
        let (stage, task) = name.split_once('.')?;
        let stage = tasklist
            .stages
            .get(stage.parse::<usize>().ok()?.checked_sub(1)?)?;
        stage.jobs.get(task.parse::<usize>().ok()?.checked_sub(1)?)
    };
    let fits = |receipt: &ReceiptPlan| {
        job(&receipt.job).is_some_and(|job| {
            let mut tags = job
                .tasks()
                .iter()
                .filter_map(|task| task.tag.as_deref())
                .peekable();
            tags.peek().is_none() || tags.any(|tag| tag == receipt.service)
        })
    };
    let astray = plan.receipts.iter().filter(|receipt| !fits(receipt));
    let faults = astray.map(|receipt| {
        let ReceiptPlan { service, job, .. } = receipt;
        Diagnostic::error(format!(
            "the plan wants a receipt of service `{service}` from job {job}, which is not about it"
        ))
        .key("plan.receipts")
        .hint("jobs are counted from 1, as STAGE.TASK; mend `plan.receipts` after moving jobs, or plan again")
    });
    Diagnostics(faults.collect())
}

fn prepared_task(
    id: TaskId,
    task: &Task,
    code: Box<dyn Command>,
    component: Arc<str>,
) -> PreparedTask {
    let limit = task.time_limit.unwrap_or(DEFAULT_TIME_LIMIT);
    PreparedTask {
        id,
        command: task.command.clone(),
        component,
        host: task.host(),
        user: task.remote_user.clone(),
        tag: task.tag.clone(),
        use_sudo: task.use_sudo.unwrap_or(false),
        time_limit: (limit > 0).then_some(u64::from(limit)),
        retries: task.retries.unwrap_or(0),
        retry_delay: task.retry_delay.unwrap_or(1),
        code,
    }
}

/// `stage "Upload", task 1.2.1 (upload)`.
struct Place<'a> {
    stage: Option<&'a Stage>,
    id: TaskId,
    task: &'a Task,
}

impl Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.stage.map_or("", |s| s.name.as_str());
        write!(
            f,
            "stage {name:?}, task {} ({})",
            self.id, self.task.command
        )
    }
}

/// The path of a task in the tasklist: indices count from 0, as in JSON.
struct TaskPath<'a> {
    stage: Option<&'a Stage>,
    id: TaskId,
}

impl Display for TaskPath<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (s, j, l) = (self.id.stage - 1, self.id.task - 1, self.id.link - 1);
        match self.stage.and_then(|stage| stage.jobs.get(j as usize)) {
            Some(windlass_model::tasklist::Job::Chain(_)) => {
                write!(f, "stages[{s}].tasks[{j}][{l}]")
            }
            _ => write!(f, "stages[{s}].tasks[{j}]"),
        }
    }
}

async fn initialize(
    registry: &Registry,
    cx: &InitContext<'_>,
) -> Result<(Box<dyn Command>, Arc<str>), Diagnostics> {
    let name = &cx.task.command;
    let Some(kind) = registry.find_command(name) else {
        let unknown = cx.about_task(Diagnostic::error(format!("unknown command `{name}`")));
        let hint = match registry.near_command(name) {
            Some(near) => format!("did you mean `{near}`? `windlass commands` lists them all"),
            None => format!(
                "`windlass commands` lists those that there are; your own go into `commands/{name}`"
            ),
        };
        return Err(unknown.hint(hint).into());
    };
    // Called inside of what is guarded: a typed command does its work before there is a future.
    let made = AssertUnwindSafe(async { kind.initialize(cx).await })
        .catch_unwind()
        .await;
    match made {
        Ok(made) => Ok((made?, kind.component().into())),
        Err(panic) => Err(cx
            .about_task(Diagnostic::error(format!(
                "a defect in Windlass: command `{name}` panicked: {}",
                panic_text(&*panic)
            )))
            .into()),
    }
}

impl InitContext<'_> {
    /// Puts the task's place on a diagnostic.
    pub fn about_task(&self, diagnostic: Diagnostic) -> Diagnostic {
        let diagnostic = diagnostic
            .key(self.path.to_string())
            .task(self.place.to_string());
        match self.source {
            Some(source) => diagnostic.at(source, self.task.span),
            None => diagnostic,
        }
    }
}

/// The message of a panic.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
