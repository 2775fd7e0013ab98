//! A stage for tasklists: the real executor, fake hosts, virtual time, every event kept.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use windlass_engine::events::{Events, Sink};
use windlass_engine::executor::{Options, Report, Told, prepare, resumption, run};
use windlass_engine::host::Hosts;
use windlass_engine::interrupt::{Interrupt, interrupt};
use windlass_engine::locks::{self, Claim, Locks, NotTaken};
use windlass_engine::registry::Registry;
use windlass_engine::secrets::Secrets;
use windlass_model::diagnostic::{Diagnostic, Diagnostics};
use windlass_model::event::{Event, Process, What};
use windlass_model::ids::{HostName, RunId};
use windlass_model::tasklist::{Tasklist, from_tree};
use windlass_model::tree::Node;

use crate::fake::{FakeHosts, Script, register};

/// A tasklist and all that happens to it.
#[derive(Default)]
pub struct Play {
    /// What is run; its commands are `fake`.
    pub tasklist: Tasklist,
    /// What the hosts do.
    pub hosts: FakeHosts,
    /// When the operator asks to stop: virtual time since the start of the run. Odd milliseconds keep clear of the ends
    /// of steps, which are even.
    pub interrupts: Vec<Duration>,
    /// Hosts that are left out.
    pub without: Vec<HostName>,
    /// The user of tasks that name none.
    pub user: Option<String>,
    /// Hosts that are locked first; the lease is 60 s. A run whose hosts are locked by others does not begin.
    pub locks: Vec<HostName>,
    /// What happened before, when the run is one that is resumed, and what the operator says about it.
    pub resume: Option<(Vec<What>, Told)>,
    /// How many events are recorded before the journal can be written no more: what a killed Windlass leaves, at worst.
    pub cut: Option<usize>,
}

/// What came of it.
pub struct Played {
    /// Every event, in order.
    pub events: Vec<What>,
    /// How the run ended; why it did not begin.
    pub report: Result<Report, Diagnostics>,
    /// The hosts, with all that they remember.
    pub hosts: FakeHosts,
}

#[derive(Clone, Default)]
struct Keep {
    kept: Arc<Mutex<Vec<What>>>,
    cut: Option<usize>,
}

impl Sink for Keep {
    fn accept(&mut self, events: &[Event]) -> std::io::Result<()> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(events.iter().map(|e| e.what.clone()));
        match self.cut {
            Some(cut) if kept.len() >= cut => {
                kept.truncate(cut);
                Err(std::io::Error::other("cut off"))
            }
            _ => Ok(()),
        }
    }
}

impl Play {
    /// A tasklist given as JSON, hosts given by a script.
    ///
    /// # Errors
    /// What is wrong with the tasklist.
    pub fn new(tasklist: Value, script: Script) -> Result<Self, Diagnostics> {
        Ok(Self {
            tasklist: from_tree(Node::from(tasklist), None)?,
            hosts: FakeHosts::new(script),
            ..Self::default()
        })
    }

    /// Runs it. Takes no real time to speak of: the clock goes on whenever nothing else does.
    ///
    /// # Errors
    /// When no runtime can be made.
    pub fn play(self) -> std::io::Result<Played> {
        // The dispatcher of events blocks a thread, which would hold a paused clock; it gets a runtime of its own.
        let beside = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()?;
        let clock = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()?;
        let keep = Keep {
            cut: self.cut,
            ..Keep::default()
        };
        let (events, dispatched) = {
            let _beside = beside.enter();
            Events::start(vec![Box::new(keep.clone())])
        };
        let hosts = self.hosts.clone();
        let id = RunId::new("run-1").ok_or_else(|| std::io::Error::other("run-1 is no id"))?;
        let report = clock.block_on(self.run(id, events));
        drop(clock);
        let dispatched = beside.block_on(dispatched).map_err(std::io::Error::other)?;
        let events = std::mem::take(&mut *keep.kept.lock().unwrap_or_else(PoisonError::into_inner));
        if keep.cut.is_none_or(|cut| events.len() < cut) {
            dispatched?;
        }
        Ok(Played {
            events,
            report,
            hosts,
        })
    }

    async fn run(self, id: RunId, events: Events) -> Result<Report, Diagnostics> {
        let mut registry = Registry::new();
        register(&mut registry);
        let prepared = prepare(&self.tasklist, &registry, Path::new("/"), &events).await?;
        let process = Process {
            pid: 1,
            started: None,
        };
        let resume = match self.resume {
            Some((before, told)) => Some(Arc::new(resumption(&prepared, before, told, process)?)),
            None => None,
        };
        let (interrupter, interrupt) = interrupt();
        let stopping = tokio::spawn({
            let (events, start) = (events.clone(), tokio::time::Instant::now());
            async move {
                for (times, at) in (1..).zip(self.interrupts) {
                    tokio::time::sleep_until(start + at).await;
                    events.send(What::Interrupted { times }).await;
                    interrupter.again();
                }
                std::future::pending::<()>().await;
            }
        });
        let hosts: Arc<dyn Hosts> = Arc::new(self.hosts);
        let locks = match self.locks.is_empty() {
            true => None,
            false => Some(self::locks(&id, self.locks, &hosts, &events, interrupt.clone()).await?),
        };
        let report = run(
            &prepared,
            Options {
                resume,
                run: id,
                by: "tester@here".into(),
                hosts,
                secrets: Arc::new(Secrets::default()),
                events,
                interrupt,
                user: self.user,
                without: self.without,
                locks: locks.clone(),
            },
        )
        .await;
        if let Some(locks) = locks {
            locks.release().await;
        }
        stopping.abort();
        Ok(report)
    }
}

/// Takes them as a run does that does not wait.
async fn locks(
    run: &RunId,
    names: Vec<HostName>,
    hosts: &Arc<dyn Hosts>,
    events: &Events,
    interrupt: Interrupt,
) -> Result<Arc<Locks>, Diagnostics> {
    let claim = Claim {
        run: run.clone(),
        after: None,
        by: "tester@here".into(),
        pid: 1,
        hosts: names,
        user: None,
        lease: locks::LEASE,
        wait: Duration::ZERO,
    };
    let taken = locks::take(claim, hosts.clone(), events, interrupt).await;
    taken.map_err(|error| {
        let message = match error {
            NotTaken::Held(conflicts) => conflicts.iter().map(ToString::to_string).collect(),
            other => format!("{other:?}"),
        };
        Diagnostic::error(message).into()
    })
}
