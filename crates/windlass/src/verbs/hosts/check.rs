//! `windlass hosts check`.

use std::collections::HashSet;
use std::path::PathBuf;

use clap::Args;
use windlass_builtins::hosts_check::{self, Finding, Grade};
use windlass_engine::host::Hosts as _;

use super::{Chosen, counted};
use crate::ending::Ending;
use crate::output::{print, print_json};
use crate::reporters::findings;
use crate::session::Session;

/// Finds everything that would keep a deploy from its end, on all hosts at once; changes nothing
#[derive(Debug, Args)]
pub(super) struct Check {
    /// The config that names the hosts and what they need [default: windlass.yaml here or in a parent folder]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only these hosts, in the config or not; without a config: whether they can be used at all
    #[arg(long, value_name = "HOST", num_args = 1..)]
    hosts: Vec<String>,
    /// Only the hosts of these hostgroups
    #[arg(long, value_name = "GROUP", num_args = 1..)]
    hostgroups: Vec<String>,
    /// Print JSON: an array of objects with host, level, check, message, hint
    #[arg(long)]
    json: bool,
}

impl Check {
    /// Looks, and prints what was found. Exit status 1 when any host has an error.
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Ending> {
        let config = self.config.as_deref();
        let chosen = Chosen::new(session, config, &self.hosts, &self.hostgroups)?;
        let (hosts, _) = session.all_hosts(chosen.config()).await?;
        let found = hosts_check::check(&hosts, &chosen.wanted).await;
        hosts.close().await;
        if self.json {
            print_json(&found)?;
        } else {
            print(&text(
                &found,
                chosen.wanted.hosts().count(),
                session.common.quiet,
            ))?;
        }
        match found.iter().any(|f| f.grade == Grade::Error) {
            true => Err(Ending::Failed),
            false => Ok(()),
        }
    }
}

/// `asked`: how many hosts.
fn text(found: &[Finding], asked: usize, quiet: bool) -> String {
    let told: Vec<Finding> = found
        .iter()
        .filter(|f| !quiet || f.grade != Grade::Note)
        .cloned()
        .collect();
    let mut text = findings::text(&told);
    let wrong = found.iter().filter(|f| f.grade == Grade::Error);
    let wrong: HashSet<_> = wrong.map(|f| &f.host).collect();
    if !quiet {
        let fine = asked.saturating_sub(wrong.len());
        text.push_str(&format!("ok: {}\n", counted(fine, "host")));
    }
    text
}
