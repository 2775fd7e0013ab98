//! `windlass hosts trust`.

use std::fmt::Write as _;
use std::io::{BufRead as _, Read as _};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use windlass_builtins::hosts::ssh::config::SshConfig;
use windlass_builtins::hosts_trust::{self, NewKey, Shown};
use windlass_engine::host::Hosts as _;

use super::{Chosen, counted};
use crate::ending::Ending;
use crate::output::{print, say};
use crate::reporters::findings;
use crate::session::Session;

/// Shows host keys that are not known, and approves them
#[derive(Debug, Args)]
pub(super) struct Trust {
    /// Whose keys [default: those of all hosts of the config]
    #[arg(value_name = "HOST")]
    hosts: Vec<String>,
    /// The config that names the hosts [default: windlass.yaml here or in a parent folder]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The hosts of these hostgroups
    #[arg(long, value_name = "GROUP", num_args = 1..)]
    hostgroups: Vec<String>,
    /// Approve them all without asking; only where you know that nobody is in between
    #[arg(long)]
    yes: bool,
}

impl Trust {
    /// Shows, asks, writes. Exit status 0 when the keys of all these hosts are known at the end.
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Ending> {
        let config = self.config.as_deref();
        let chosen = Chosen::new(session, config, &self.hosts, &self.hostgroups)?;
        let ssh = SshConfig::load(
            session.common.ssh_config.as_deref(),
            session.surroundings.home.as_deref(),
            &session.surroundings.user,
        )?;
        let (hosts, _) = session.all_hosts(chosen.config()).await?;
        let shown = hosts_trust::look(&hosts, Arc::new(ssh), &chosen.named).await;
        hosts.close().await;
        print(&text(&shown, session.common.quiet))?;
        if !shown.new.is_empty() {
            self.ask(session, shown.new.len()).await?;
            approve(&shown.new, session.common.quiet).await?;
        }
        match shown.refused.is_empty() {
            true => Ok(()),
            false => Err(Ending::Failed),
        }
    }

    async fn ask(&self, session: &Session, keys: usize) -> Result<(), Ending> {
        if self.yes {
            return Ok(());
        }
        let (these, them) = match keys {
            1 => ("this key".to_owned(), "it"),
            n => (format!("these {n} keys"), "them"),
        };
        if !session.surroundings.can_be_asked {
            return Err(Ending::input(
                format!("nobody is at a terminal to approve {these}; nothing was changed"),
                format!("compare {them} with what the hosts' owner says, then add --yes"),
            ));
        }
        say(&format!(
            "Is the owner's word for {these} the same? Write `yes` to trust {them}: "
        ));
        let answer = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            let read = std::io::stdin().lock().take(1024).read_line(&mut line);
            read.map(|_| line)
        });
        let answer = answer
            .await
            .map_err(|e| Ending::own("the answer cannot be read", e))?;
        match answer {
            Ok(line) if line.trim() == "yes" => Ok(()),
            _ => {
                say("nothing was changed\n");
                Err(Ending::Failed)
            }
        }
    }
}

async fn approve(keys: &[NewKey], quiet: bool) -> Result<(), Ending> {
    let count = keys.len();
    let keys = keys.to_vec();
    let written = tokio::task::spawn_blocking(move || hosts_trust::approve(&keys))
        .await
        .map_err(|e| Ending::own("keys cannot be written", e))?;
    let left = written.map_err(|e| {
        Ending::input(
            e.to_string(),
            "check its permissions, and UserKnownHostsFile in ssh_config",
        )
    })?;
    for old in left {
        say(&format!(
            "warning: the old key {} is still in {}:{}\n  hint: remove the line: the key is trusted as long as it is there\n",
            old.fingerprint,
            old.file.display(),
            old.line
        ));
    }
    if !quiet {
        say(&format!("trusted: {}\n", counted(count, "key")));
    }
    Ok(())
}

fn text(shown: &Shown, quiet: bool) -> String {
    let mut text = String::new();
    for key in &shown.new {
        let hosts: Vec<&str> = key.hosts.iter().map(|h| h.as_str()).collect();
        let (hosts, address) = (findings::listed(&hosts), &key.address);
        let word = if key.old.is_some() { "CHANGED" } else { "new" };
        let _ = writeln!(text, "{word}: {hosts}: {address} {}", key.fingerprint);
        if let Some(old) = &key.old {
            let (was, file) = (&old.fingerprint, old.file.display());
            let _ = writeln!(text, "  was: {was} ({file}:{})", old.line);
        }
    }
    text.push_str(&findings::text(&shown.refused));
    if !quiet && !shown.known.is_empty() {
        let _ = writeln!(text, "known: {}", counted(shown.known.len(), "host"));
    }
    text
}
