//! `windlass hosts unlock`.

use std::io::{BufRead as _, Read as _};
use std::path::PathBuf;

use clap::Args;
use windlass_engine::host::Hosts;
use windlass_engine::locks::{self, Found, LockState, Unlocked};
use windlass_model::HostName;
use windlass_model::config::Config;
use windlass_model::tree::Map;

use super::counted;
use crate::choice;
use crate::ending::Ending;
use crate::output::{print, say};
use crate::session::Session;

/// Shows who has locked hosts, and unlocks them
///
/// A run that died leaves its locks until they expire; this is for those that cannot wait. A run that lives after all
/// finds out before it does anything more.
#[derive(Debug, Args)]
pub(super) struct Unlock {
    /// Which
    #[arg(required = true, value_name = "HOST")]
    hosts: Vec<String>,
    /// The config that says how to get there [default: windlass.yaml here or in a parent folder, if there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Also where work of a run still goes on
    #[arg(long)]
    force: bool,
}

impl Unlock {
    /// Shows, asks, unlocks. Exit status 0 when all of these hosts are free at the end.
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Ending> {
        let config = session.config(self.config.as_deref(), &Map::default())?;
        let known = config
            .as_ref()
            .map(|(config, base)| (config, base.as_path()));
        let names = choice::hosts(known.map(|(config, _)| config), &self.hosts, &[])?;
        let user = known.map(|(config, _)| Config::user(config)).transpose()?;
        let user = user.flatten();
        let (hosts, _) = session.hosts(known).await?;
        let ended = self
            .unlock(session, hosts.as_ref(), user.as_deref(), &names)
            .await;
        hosts.close().await;
        ended
    }

    async fn unlock(
        &self,
        session: &Session,
        hosts: &dyn Hosts,
        user: Option<&str>,
        names: &[HostName],
    ) -> Result<(), Ending> {
        let mut all_free = true;
        let mut locked: Vec<(HostName, Found)> = Vec::new();
        for (host, found) in locks::look(hosts, user, names).await {
            match found {
                Ok(found) => {
                    print(&format!("{host}: {found}\n"))?;
                    let busy = !found.busy.is_empty();
                    if busy && !self.force {
                        say(&still_busy(&host));
                        all_free = false;
                    } else if busy || found.state != LockState::Free {
                        locked.push((host, found));
                    }
                }
                Err(why) => {
                    say(&format!("error: {host}: {why}\n"));
                    all_free = false;
                }
            }
        }
        if !locked.is_empty() {
            self.ask(session, locked.len()).await?;
        }
        for (host, shown) in &locked {
            let free = match locks::unlock(hosts, user, host, shown, self.force).await {
                Ok(Unlocked::Free) => {
                    print(&format!("{host}: unlocked\n"))?;
                    true
                }
                Ok(Unlocked::Busy(_)) => {
                    say(&still_busy(host));
                    false
                }
                Ok(Unlocked::Changed(found)) => {
                    say(&format!(
                        "error: {host}: not unlocked, since it has changed meanwhile: {found}\n"
                    ));
                    false
                }
                Err(why) => {
                    say(&format!("error: {host}: not unlocked: {why}\n"));
                    false
                }
            };
            all_free &= free;
        }
        match all_free {
            true => Ok(()),
            false => Err(Ending::Failed),
        }
    }

    async fn ask(&self, session: &Session, count: usize) -> Result<(), Ending> {
        if self.yes {
            return Ok(());
        }
        let these = counted(count, "host");
        if !session.surroundings.can_be_asked {
            return Err(Ending::input(
                format!(
                    "nobody is at a terminal to say whether to unlock {these}; nothing was changed"
                ),
                "make sure that the Windlass that locked them is gone, then add --yes",
            ));
        }
        say(&format!("Unlock {these}? Write `yes`: "));
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

fn still_busy(host: &HostName) -> String {
    format!(
        "error: {host}: not unlocked: work of a run goes on there\n  hint: wait for its end, or end it; --force unlocks all the same\n"
    )
}
