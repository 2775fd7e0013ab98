//! Locks of a run, as the command line has them.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use windlass_engine::executor::Prepared;
use windlass_engine::host::Hosts;
use windlass_engine::locks::{self, Claim, Locks, NotTaken};
use windlass_model::HostName;
use windlass_model::diagnostic::{Diagnostic, Diagnostics};
use windlass_model::ids::RunId;

use crate::ending::Ending;
use crate::session::Session;

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

/// Which run wants locks.
pub(crate) struct Wanted<'a> {
    /// The run.
    pub(crate) run: &'a RunId,
    /// As whom.
    pub(crate) user: Option<&'a str>,
    /// Hosts that it leaves out.
    pub(crate) without: &'a [HostName],
}

impl Locking {
    /// Takes the locks that the plan names, of hosts that the run uses; none when there are none.
    pub(crate) async fn take(
        &self,
        session: &Session,
        prepared: &Prepared,
        hosts: &Arc<dyn Hosts>,
        wanted: &Wanted<'_>,
    ) -> Result<Option<Arc<Locks>>, Ending> {
        let mut used = prepared.hosts();
        used.insert(HostName::local());
        let mut names: Vec<HostName> = prepared
            .plan
            .locks
            .iter()
            .map(|h| HostName::new(h))
            .collect();
        names.retain(|host| used.contains(host) && !wanted.without.contains(host));
        names.sort();
        names.dedup();
        if names.is_empty() {
            return Ok(None);
        }
        let claim = Claim {
            run: wanted.run.clone(),
            by: session.surroundings.by(),
            pid: std::process::id(),
            hosts: names,
            user: wanted.user.map(str::to_owned),
            lease: Duration::from_secs(u64::from(self.lock_lease)),
            wait: Duration::from_secs(u64::from(self.wait)),
        };
        let interrupt = session.interrupt.clone();
        let taken = locks::take(claim, hosts.clone(), &session.events, interrupt).await;
        Ok(Some(taken.map_err(ending)?))
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
