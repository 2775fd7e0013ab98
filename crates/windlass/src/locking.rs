//! Locks of a run, as the command line has them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use windlass_engine::executor::Prepared;
use windlass_engine::host::Hosts;
use windlass_engine::locks::{self, Claim, Locks, NotTaken};
use windlass_model::HostName;
use windlass_model::diagnostic::{Diagnostic, Diagnostics};
use windlass_model::ids::RunId;

use crate::cli::Inputs;
use crate::ending::Ending;
use crate::session::Session;
use crate::verbs::rollback::Rollback;

/// How the hosts of a run are locked.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Locking {
    /// How long to wait for hosts that another run has locked
    #[arg(
        long,
        default_value_t = 0,
        hide_default_value = true,
        value_name = "SECONDS"
    )]
    wait: u32,
    /// How long a lock outlives a run that has died; a run that lives renews it
    #[arg(
        long,
        default_value_t = locks::LEASE.as_secs() as u32,
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u32).range(2..=86_400)
    )]
    lock_lease: u32,
}

impl Default for Locking {
    fn default() -> Self {
        Self {
            wait: 0,
            lock_lease: locks::LEASE.as_secs() as u32,
        }
    }
}

/// What becomes of a tasklist when its hosts were changed after it was made.
#[derive(Debug)]
pub(crate) enum Stale {
    /// It is run as it is: somebody wrote or saved it, and wants exactly this.
    RunAsItIs,
    /// It is made again.
    MakeAgain(Inputs),
    /// It is made again.
    RollBackAgain(Box<Rollback>),
}

/// The locks of a run, if it has any, and the hosts that they are on.
#[derive(Default)]
pub(crate) struct Held {
    locks: Option<Arc<Locks>>,
    hosts: Option<Arc<dyn Hosts>>,
}

impl Held {
    /// The locks.
    pub(crate) fn locks(&self) -> Option<Arc<Locks>> {
        self.locks.clone()
    }

    /// Whether these hosts are locked.
    pub(crate) fn covers(&self, names: &[HostName]) -> bool {
        self.locks.as_ref().is_some_and(|locks| locks.covers(names))
    }

    /// Who changed any of the hosts since then.
    pub(crate) fn changed_since(&self, began: Instant) -> Option<String> {
        self.locks.as_ref()?.changed_since(began)
    }

    /// Gives the locks back and closes the connections.
    pub(crate) async fn release(&mut self) {
        if let Some(locks) = self.locks.take() {
            locks.release().await;
        }
        if let Some(hosts) = self.hosts.take() {
            hosts.close().await;
        }
    }
}

impl Locking {
    /// The hosts to lock: those that the plan names, as far as the run uses them.
    pub(crate) fn names(&self, prepared: &Prepared, without: &[HostName]) -> Vec<HostName> {
        let mut used = prepared.hosts();
        used.insert(HostName::local());
        let plan = &prepared.plan.locks;
        let mut names: Vec<HostName> = plan.iter().map(|h| HostName::new(h)).collect();
        names.retain(|host| used.contains(host) && !without.contains(host));
        names.sort();
        names.dedup();
        names
    }

    /// Takes these locks.
    pub(crate) async fn take(
        &self,
        session: &Session,
        run: &RunId,
        after: Option<&RunId>,
        names: Vec<HostName>,
        user: Option<&str>,
        hosts: &Arc<dyn Hosts>,
    ) -> Result<Held, Ending> {
        let mut held = Held {
            locks: None,
            hosts: Some(hosts.clone()),
        };
        if names.is_empty() {
            return Ok(held);
        }
        let claim = Claim {
            run: run.clone(),
            after: after.cloned(),
            by: session.surroundings.by(),
            pid: std::process::id(),
            hosts: names,
            user: user.map(str::to_owned),
            lease: Duration::from_secs(u64::from(self.lock_lease)),
            wait: Duration::from_secs(u64::from(self.wait)),
        };
        let interrupt = session.interrupt.clone();
        let taken = locks::take(claim, hosts.clone(), &session.events, interrupt).await;
        held.locks = Some(taken.map_err(ending)?);
        Ok(held)
    }
}

fn ending(error: NotTaken) -> Ending {
    match error {
        NotTaken::Held(conflicts) => {
            let mut faults = Diagnostics::new();
            for conflict in conflicts {
                let names: Vec<&str> = conflict.hosts.iter().map(HostName::as_str).collect();
                faults.push(Diagnostic::error(conflict.to_string()).hint(format!(
                    "wait for it with `--wait SECONDS`; when you know that its Windlass is gone: `windlass hosts unlock {}`",
                    names.join(" ")
                )));
            }
            Ending::Input(faults)
        }
        NotTaken::Impossible(host, why) => Ending::input(
            format!("{host} cannot be locked: {why}"),
            "the remote user needs a home directory, or one that XDG_STATE_HOME names, to write in",
        ),
        NotTaken::NoToken => Ending::Own("there are no random numbers".into()),
        NotTaken::Interrupted => Ending::Interrupted,
    }
}
