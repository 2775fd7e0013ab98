//! `windlass run`: a shell line on hosts, through the same executor as a deploy.

use std::path::PathBuf;

use clap::Args;
use windlass_model::HostName;
use windlass_model::tasklist::{Job, Stage, Task, Tasklist};
use windlass_model::tree::{Map, Node};

use crate::choice;
use crate::ending::Ending;
use crate::making;
use crate::program::Program;
use crate::session::Session;

/// Runs a shell line on hosts
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The config that names the hosts [default: windlass.yaml here or in a parent folder, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// On these hosts; `local` is this machine
    #[arg(long, value_name = "HOST", num_args = 1.., required_unless_present = "hostgroups")]
    hosts: Vec<String>,
    /// On the hosts of these hostgroups of the config
    #[arg(long, value_name = "GROUP", num_args = 1..)]
    hostgroups: Vec<String>,
    /// As this user
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Through sudo
    #[arg(long)]
    sudo: bool,
    /// Hosts at once
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    concurrency: u32,
    /// Hosts that may fail before no new one is begun
    #[arg(long, default_value_t = u32::MAX, hide_default_value = true, value_name = "N")]
    max_failures: u32,
    /// Seconds for one host; 0 for no limit
    #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
    time_limit: u32,
    /// Running the line twice is as running it once: nothing is kept on the hosts, and it ends with the link
    #[arg(long)]
    safe_to_repeat: bool,
    /// The shell line
    #[arg(required = true, last = true, value_name = "COMMAND")]
    line: Vec<String>,
}

impl Run {
    /// Runs it on all of them.
    pub(crate) async fn run(self, program: &Program) -> Result<(), Ending> {
        let mut session = Session::start(program)?;
        session.given_config.clone_from(&self.config);
        let result = self.run_in(&mut session).await;
        session.finish(result).await
    }

    async fn run_in(self, session: &mut Session) -> Result<(), Ending> {
        let config = session.config(self.config.as_deref(), &Map::default())?;
        let (config, base) = match config {
            Some((config, base)) => (Some(config), base),
            None => (None, session.surroundings.directory.clone()),
        };
        let tasklist = self.tasklist(&choice::hosts(
            config.as_ref(),
            &self.hosts,
            &self.hostgroups,
        )?);
        let made = making::ready(session, tasklist, config, base, None).await?;
        making::run(session, made, &[]).await
    }

    fn tasklist(&self, hosts: &[HostName]) -> Tasklist {
        let line = self.line.join(" ");
        let safe = self.safe_to_repeat.then(|| ("safe_to_repeat", true.into()));
        let args = [("run", Node::from(line.as_str()))];
        let args: Map = args.into_iter().chain(safe).collect();
        let jobs = hosts
            .iter()
            .map(|host| {
                Job::Task(Task {
                    command: "execute_command".into(),
                    remote_host: (!host.is_local()).then(|| host.clone()),
                    remote_user: self.user.clone(),
                    use_sudo: self.sudo.then_some(true),
                    time_limit: Some(self.time_limit),
                    args: args.clone(),
                    ..Task::default()
                })
            })
            .collect();
        Tasklist {
            name: format!("Run: {line}"),
            stages: vec![Stage {
                name: "Run".into(),
                concurrency: self.concurrency,
                max_failures: Some(self.max_failures),
                jobs,
                ..Stage::default()
            }],
            ..Tasklist::default()
        }
    }
}
