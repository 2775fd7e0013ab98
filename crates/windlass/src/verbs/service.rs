//! `windlass service`: starts, stops, restarts or looks at a service of the config.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use windlass_model::tree::Map;

use crate::ending::Ending;
use crate::locking::Locking;
use crate::making;
use crate::program::Program;
use crate::session::Session;

/// Starts, stops, restarts or looks at a service of the config
#[derive(Debug, Args)]
pub(crate) struct Service {
    /// What to do
    action: Action,
    /// To which service
    service: String,
    /// The platform config [default: windlass.yaml here or in a parent folder]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only on these hosts
    #[arg(long, value_name = "HOST", num_args = 1..)]
    hosts: Vec<String>,
    /// Hosts at once
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    concurrency: u32,
    #[command(flatten)]
    locking: Locking,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Action {
    /// Start it and wait until it runs
    Start,
    /// Stop it and wait until it is down
    Stop,
    /// Stop and start it
    Restart,
    /// Have it read its configuration again
    Reload,
    /// Print its state
    Status,
}

impl Service {
    /// Stopping a service of a config, everywhere.
    pub(crate) fn stop(service: &str, config: &std::path::Path) -> Self {
        Self {
            action: Action::Stop,
            service: service.to_owned(),
            config: Some(config.to_owned()),
            hosts: Vec::new(),
            concurrency: 1,
            locking: Locking::default(),
        }
    }

    /// Does it on every host of the service, within `--concurrency`.
    pub(crate) async fn run(self, program: &Program) -> Result<(), Ending> {
        let mut session = Session::start(program)?;
        session.given_config.clone_from(&self.config);
        let result = self.run_in(&mut session).await;
        session.finish(result).await
    }

    async fn run_in(self, session: &mut Session) -> Result<(), Ending> {
        let (config, base) = session.needed_config(self.config.as_deref(), &Map::default())?;
        let action = match self.action {
            Action::Start => "start",
            Action::Stop => "stop",
            Action::Restart => "restart",
            Action::Reload => "reload",
            Action::Status => "status",
        };
        let tasklist = windlass_builtins::generators::rolling::service_tasklist(
            &config,
            &self.service,
            action,
            &self.hosts,
            self.concurrency,
        )?;
        let mut made = making::ready(session, tasklist, Some(config), base, None).await?;
        made.locking = self.locking;
        making::run(session, made, &[]).await
    }
}
