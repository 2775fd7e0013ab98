//! `windlass agents`: a manager's builders and installers.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use windlass_model::release::{AgentKind, AgentName};
use windlass_wire::rest::AgentView;

use crate::client::{ManagerOptions, ending, tables};
use crate::ending::Ending;
use crate::output::{print, print_json, say};

/// Lists a manager's builders and installers; removes or drains one; makes a token for one to join with
#[derive(Debug, Args)]
pub(crate) struct Agents {
    #[command(subcommand)]
    what: Option<Asked>,
    /// Print JSON: an array of objects; of a subcommand an object
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    manager: ManagerOptions,
}

#[derive(Debug, Subcommand)]
enum Asked {
    /// Forget an agent, its credential included
    Remove(Named),
    /// Give an agent no more work; what it does, it ends
    Drain(Named),
    /// Give an agent work again
    Resume(Named),
    /// Make a token with which one agent may join from another machine, and print it
    Token,
}

#[derive(Debug, Args)]
struct Named {
    /// What it is
    kind: Kind,
    /// Its name
    name: AgentName,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// It builds
    Builder,
    /// It installs
    Installer,
}

impl Named {
    fn kind(&self) -> AgentKind {
        match self.kind {
            Kind::Builder => AgentKind::Builder,
            Kind::Installer => AgentKind::Installer,
        }
    }
}

impl Agents {
    /// Lists them, or does what is asked to one.
    pub(crate) async fn run(self) -> Result<(), Ending> {
        let client = self.manager.client()?;
        let (named, changed, is_changed) = match &self.what {
            None => {
                let agents = client.agents().await.map_err(ending)?;
                return match self.json {
                    true => print_json(&agents),
                    false => print(&table(agents)),
                };
            }
            Some(Asked::Token) => {
                let token = client.agent_token().await.map_err(ending)?;
                if self.json {
                    return print_json(&token);
                }
                say(&format!(
                    "good for one agent and {} seconds\n",
                    token.seconds
                ));
                return print(&format!("{}\n", token.token));
            }
            Some(Asked::Remove(named)) => {
                let removed = client.remove_agent(named.kind(), &named.name).await;
                (named, "removed", removed)
            }
            Some(Asked::Drain(named)) => {
                let drained = client.drain_agent(named.kind(), &named.name, true).await;
                (named, "draining", drained)
            }
            Some(Asked::Resume(named)) => {
                let resumed = client.drain_agent(named.kind(), &named.name, false).await;
                (named, "active", resumed)
            }
        };
        let (kind, name) = (named.kind().as_str(), &named.name);
        if !is_changed.map_err(ending)? {
            let message = format!("there is no {kind} {name}");
            return Err(Ending::input(message, "`windlass agents` shows them"));
        }
        match self.json {
            true => print_json(&json!({"kind": kind, "name": name, "state": changed})),
            false => print(&format!("{changed}\n")),
        }
    }
}

fn table(agents: Vec<AgentView>) -> String {
    let row = |agent: AgentView| {
        let away = if agent.online { "" } else { ", AWAY" };
        [
            agent.kind.as_str().to_owned(),
            agent.name.to_string(),
            format!("{}{away}", agent.state),
            agent.slots.to_string(),
            tables::time(&agent.seen),
            agent.advertisement.to_string(),
        ]
    };
    let header = ["KIND", "NAME", "STATE", "SLOTS", "SEEN", "ADVERTISES"];
    tables::table(header, agents.into_iter().map(row))
}
