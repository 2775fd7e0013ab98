//! Availability: how many hosts of a service must stay healthy, and which jobs take one of them out of service.

mod proof;

use std::collections::{BTreeSet, HashMap};

use windlass_model::diagnostic::{Diagnostic, Diagnostics};
use windlass_model::ids::HostName;
use windlass_model::tasklist::{MinHealthy, Plan};

use crate::executor::{PreparedJob, PreparedStage, PreparedTask};
pub use proof::{Exposure, JobShape, StageShape, exposures};

/// A service whose hosts are watched.
pub struct Watched {
    /// Its name.
    pub service: String,
    /// So many hosts must stay healthy.
    pub keep: usize,
    /// Seconds that a job may wait for that.
    pub wait: u32,
    /// All of its hosts.
    pub hosts: Vec<WatchedHost>,
}

/// A host of a watched service.
pub struct WatchedHost {
    /// Its name.
    pub host: HostName,
    /// Whether the service was not installed there when this was planned.
    pub new: bool,
    /// Asked to find out whether it is healthy; all must be content.
    pub ask: Vec<PreparedTask>,
}

/// A host of a service that a job takes out: indices of services and of their hosts.
pub type TakenOut = (usize, usize);

/// Finds out which hosts of which services a job takes out of service: those that it leaves a receipt on, and those where a
/// task that may take a service out is tagged with it, or with nothing.
pub struct Finder<'a> {
    places: HashMap<HostName, Vec<(&'a str, TakenOut)>>,
}

impl<'a> Finder<'a> {
    /// For the services of a plan; their indices are those of its map, in order.
    pub fn new(plan: &'a Plan) -> Self {
        let mut places: HashMap<HostName, Vec<_>> = HashMap::new();
        for (s, (service, healthy)) in plan.min_healthy.iter().enumerate() {
            for (h, host) in healthy.hosts.iter().enumerate() {
                let place = places.entry(HostName::new(&host.host)).or_default();
                place.push((service.as_str(), (s, h)));
            }
        }
        Self { places }
    }

    /// What a job takes out, each once.
    pub fn taken_out(&self, job: &PreparedJob) -> Vec<TakenOut> {
        if self.places.is_empty() {
            return Vec::new();
        }
        let mut found = BTreeSet::new();
        let here = |host| self.places.get(host).into_iter().flatten();
        if let (Some(receipt), Some(task)) = (&job.receipt, job.tasks.first()) {
            let own = here(&task.host).filter(|(service, _)| *service == receipt.service);
            found.extend(own.map(|(_, taken)| *taken));
        }
        for task in job.tasks.iter().filter(|task| task.code.takes_out()) {
            let tag = task.tag.as_deref();
            let meant = here(&task.host).filter(|(service, _)| tag.is_none_or(|t| t == *service));
            found.extend(meant.map(|(_, taken)| *taken));
        }
        found.into_iter().collect()
    }
}

/// Proves that no stage can take more hosts of a watched service out of service at once than may be, or says which could.
///
/// Pure. Counted are hosts that jobs have begun on and not ended well on: those that run, and those that failed, for they
/// stay out. Hosts where the service was not installed are not counted, for nobody is served there.
pub fn prove(watched: &[Watched], stages: &[PreparedStage]) -> Diagnostics {
    let mut faults = Diagnostics::new();
    for (s, service) in watched.iter().enumerate() {
        let shapes: Vec<StageShape> = stages
            .iter()
            .map(|stage| shape(stage, s, service))
            .collect();
        let total = service.hosts.len();
        let may = total.saturating_sub(service.keep);
        for Exposure { stage, most } in exposures(&shapes) {
            let Some(at) = stages.get(stage).filter(|_| most > may) else {
                continue;
            };
            let message = format!(
                "stage {:?} ({}) could take {most} of the {total} hosts of service `{}` out of service at once, and \
                 `min_healthy` keeps {}: {} may be out",
                at.name,
                stage + 1,
                service.service,
                service.keep,
                number(may),
            );
            let fault =
                Diagnostic::error(message).key(format!("plan.min_healthy.{}", service.service));
            faults.push(fault.hint(advice(&shapes, stage, may, total)));
        }
    }
    faults
}

fn number(may: usize) -> String {
    match may {
        0 => "none".into(),
        may => format!("at most {may}"),
    }
}

/// What a stage does to a service.
fn shape(stage: &PreparedStage, service: usize, watched: &Watched) -> StageShape {
    let counts = |h: &usize| watched.hosts.get(*h).is_some_and(|host| !host.new);
    let jobs = stage.jobs.iter().filter_map(|job| {
        let own = job.takes_out.iter().filter(|(s, _)| *s == service);
        let takes_out: Vec<usize> = own.map(|(_, h)| *h).filter(counts).collect();
        (!takes_out.is_empty()).then(|| JobShape {
            hosts: job.hosts.clone(),
            takes_out,
        })
    });
    StageShape {
        limits: stage.limits,
        finally: stage.finally,
        jobs: jobs.collect(),
    }
}

/// What would make it right, tried out.
fn advice(shapes: &[StageShape], stage: usize, may: usize, total: usize) -> String {
    let Some(at) = shapes.get(stage) else {
        return String::new();
    };
    let fits = |shapes: &[StageShape]| {
        let at = exposures(shapes).into_iter().find(|e| e.stage == stage);
        at.is_none_or(|e| e.most <= may)
    };
    let now = format!(
        "`concurrency` {} at once{}",
        at.limits.concurrency,
        match at.limits.max_failures {
            0 => String::new(),
            failures => format!(", and `max_failures` {failures} that failed and stay out"),
        }
    );
    let mut tried = shapes.to_vec();
    for concurrency in (1..=at.limits.concurrency.min(may)).rev() {
        if let Some(at) = tried.get_mut(stage) {
            at.limits.concurrency = concurrency;
        }
        if fits(&tried) {
            return format!("{now}; set `deploy_concurrency: {concurrency}`");
        }
    }
    for at in &mut tried {
        at.limits.max_failures = 0;
    }
    for concurrency in (1..=at.limits.concurrency.min(may)).rev() {
        if let Some(at) = tried.get_mut(stage) {
            at.limits.concurrency = concurrency;
        }
        if fits(&tried) {
            return format!("{now}; set `deploy_concurrency: {concurrency}` and `max_failures: 0`");
        }
    }
    match may {
        0 => format!("set `min_healthy` below {total}, or add a host: one at a time is out"),
        _ => format!("{now}; let no job take more than one host out"),
    }
}

/// The services of a plan, with tasks of theirs that were initialized.
pub fn watched(plan: &Plan, mut asks: HashMap<TakenOut, Vec<PreparedTask>>) -> Vec<Watched> {
    let services = plan.min_healthy.iter().enumerate();
    services
        .map(|(s, (service, MinHealthy { keep, wait, hosts }))| Watched {
            service: service.clone(),
            keep: *keep as usize,
            wait: *wait,
            hosts: hosts
                .iter()
                .enumerate()
                .map(|(h, host)| WatchedHost {
                    host: HostName::new(&host.host),
                    new: host.new,
                    ask: asks.remove(&(s, h)).unwrap_or_default(),
                })
                .collect(),
        })
        .collect()
}
