//! `windlass hosts`: looks at hosts before a deploy does, and approves their keys.

mod check;
mod trust;
mod unlock;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use windlass_builtins::hosts_check::Wanted;
use windlass_model::HostName;
use windlass_model::config::{Config, rolling};
use windlass_model::tree::Map;

use crate::choice;
use crate::ending::Ending;
use crate::program::Program;
use crate::session::Session;

/// Looks at hosts before a deploy does, and approves their keys
#[derive(Debug, Args)]
pub(crate) struct Hosts {
    #[command(subcommand)]
    what: Asked,
}

#[derive(Debug, Subcommand)]
enum Asked {
    /// Find everything that would keep a deploy from its end, on all hosts at once; change nothing
    Check(check::Check),
    /// Show host keys that are not known, and approve them
    Trust(trust::Trust),
    /// Show who has locked hosts, and unlock them
    Unlock(unlock::Unlock),
}

impl Hosts {
    /// Does what is asked.
    pub(crate) async fn run(self, program: &Program) -> Result<(), Ending> {
        let mut session = Session::start(program)?;
        let mut interrupt = session.interrupt.clone();
        let asked = async {
            match self.what {
                Asked::Check(check) => check.run(&mut session).await,
                Asked::Trust(trust) => trust.run(&mut session).await,
                Asked::Unlock(unlock) => unlock.run(&mut session).await,
            }
        };
        let result = tokio::select! {
            result = asked => result,
            () = interrupt.reached(1) => Err(Ending::Interrupted),
        };
        session.finish(result).await
    }
}

/// The hosts that were asked for, with what is needed of them.
struct Chosen {
    config: Option<(Config, PathBuf)>,
    /// What is needed of them, and of the balancers in front of them.
    wanted: Wanted,
    /// Those that were named; or all, balancers included.
    named: Vec<HostName>,
}

impl Chosen {
    /// Those that are named; else all of the config, and the balancers in front of them.
    fn new(
        session: &Session,
        config: Option<&Path>,
        hosts: &[String],
        hostgroups: &[String],
    ) -> Result<Self, Ending> {
        let config = match hosts.is_empty() {
            true => Some(session.needed_config(config, &Map::default())?),
            false => session.config(config, &Map::default())?,
        };
        let known = config.as_ref().map(|(config, _)| config);
        let is_all = hosts.is_empty() && hostgroups.is_empty();
        let chosen = match (known, is_all) {
            (Some(config), true) => config.hosts()?,
            _ => choice::hosts(known, hosts, hostgroups)?,
        };
        let wanted = match known {
            Some(config) if config.platform == rolling::PLATFORM => {
                Wanted::of_rolling(config, &chosen)?
            }
            _ => Wanted::of_hosts(&chosen),
        };
        let named = match is_all {
            true => wanted.hosts().cloned().collect(),
            false => chosen,
        };
        Ok(Self {
            config,
            wanted,
            named,
        })
    }

    fn config(&self) -> Option<(&Config, &Path)> {
        let config = self.config.as_ref();
        config.map(|(config, base)| (config, base.as_path()))
    }
}

/// `1 host`, `2 hosts`.
fn counted(n: usize, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}
