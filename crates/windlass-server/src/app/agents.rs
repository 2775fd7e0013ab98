//! Agents: who they are, what they advertise.

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use windlass_model::release::{
    Advertisement, AgentKind, AgentName, Environment, Request, Wanted, Whole,
};
use windlass_model::step::Level;
use windlass_store::{AgentRecord, AgentState, Registration};
use windlass_wire::agent::{self, PROTOCOL, Register, Registered};

use super::route::Known;
use super::{App, AppError, AppResult};

/// Longest incarnation, in bytes.
const LONGEST_INCARNATION: usize = 255;
/// Jobs that an agent holds at most.
pub(super) const MOST_HELD: usize = 4096;
/// How long a token for an agent is good, in seconds.
const TOKEN_SECONDS: u32 = 3600;

/// An agent that showed its credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentLogin {
    /// Builder or installer.
    pub kind: AgentKind,
    /// Its name.
    pub name: AgentName,
}

/// What is stored of a secret that was made at random: it cannot be guessed, so one hash is enough.
fn hash(secret: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(secret.as_bytes()))
}

/// The credential of an agent that joins: of its own making, or, where it shows none, a new one, which is to be told.
fn credential_of(register: &Register, shown: Option<&str>) -> AppResult<(String, Option<String>)> {
    let owner = (register.kind, register.name.clone());
    if let Some(own) = shown.filter(|shown| agent::owner(shown) == Some(owner)) {
        return Ok((hash(own), None));
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)
        .map_err(|e| AppError::Unavailable(format!("no random numbers: {e}")))?;
    let new = agent::credential(register.kind, &register.name, &secret);
    Ok((hash(&new), Some(new)))
}

/// What routing knows of an agent.
fn known(agent: AgentRecord) -> Known {
    Known {
        name: agent.name,
        draining: agent.state == AgentState::Draining,
        advertisement: agent.advertisement,
    }
}

impl App {
    /// Whose credential that is.
    pub async fn agent_of(&self, credential: &str) -> AppResult<AgentLogin> {
        let wrong =
            || AppError::Unauthenticated("no agent has this credential: register again".into());
        let (kind, name) = agent::owner(credential).ok_or_else(wrong)?;
        let agent = self.store().agent(kind, &name).await?.ok_or_else(wrong)?;
        if agent
            .credential_hash
            .is_none_or(|known| known != hash(credential))
        {
            return Err(wrong());
        }
        Ok(AgentLogin { kind, name })
    }

    /// Makes a one-time token, with which an agent may join; gives it with the seconds that it is good for.
    pub async fn agent_token(&self) -> AppResult<(String, u32)> {
        let time = Duration::from_secs(u64::from(TOKEN_SECONDS));
        let token = self.store().create_token("agent", time).await?;
        Ok((token, TOKEN_SECONDS))
    }

    /// Takes an agent in. It shows a credential of its own making, and the first time a token; from loopback it needs none. May be
    /// repeated: whoever registered with a credential is known by it, and a token is good for that credential alone.
    pub async fn register(
        &self,
        register: Register,
        credential: Option<&str>,
        address: &str,
        loopback: bool,
    ) -> AppResult<Registered> {
        if register.protocol != PROTOCOL {
            return Err(AppError::Malformed(format!(
                "the agent speaks version {} of the protocol, and this manager {PROTOCOL}: make both one version",
                register.protocol
            )));
        }
        if register.kind != register.advertisement.kind() {
            return Err(AppError::Malformed(
                "a builder advertises projects, an installer environments".into(),
            ));
        }
        if register.incarnation.len() > LONGEST_INCARNATION {
            return Err(AppError::Malformed(format!(
                "`incarnation` is longer than {LONGEST_INCARNATION} bytes"
            )));
        }
        if register.held.len() > MOST_HELD {
            return Err(AppError::Malformed(format!(
                "`held` has more than {MOST_HELD} jobs"
            )));
        }
        let who = format!("{} {}", register.kind.as_str(), register.name);
        let known = self.store().agent(register.kind, &register.name).await?;
        let shown = credential.map(hash);
        let is_its_own =
            shown.is_some() && known.as_ref().is_some_and(|a| a.credential_hash == shown);
        let (credential_hash, new) = match (is_its_own, &register.token) {
            (true, _) => (shown, None),
            (false, Some(token)) => {
                let (own, new) = credential_of(&register, credential)?;
                if !self.store().take_token("agent", token, &own).await? {
                    self.log(
                        Level::Warning,
                        &format!("{address}: {who}: a token that is not good"),
                    );
                    return Err(AppError::Unauthenticated(
                        "the token is not good, or no more: make one with `windlass agents token`"
                            .into(),
                    ));
                }
                (Some(own), new)
            }
            (false, None) if loopback && !self.settings().tokens_on_loopback => {
                let (own, new) = credential_of(&register, credential)?;
                (Some(own), new)
            }
            (false, None) => {
                self.log(Level::Warning, &format!("{address}: {who}: no credential"));
                return Err(AppError::Unauthenticated(
                    "an agent from another machine joins with a token: make one with `windlass agents token`".into(),
                ));
            }
        };
        let begins_anew = known.is_some_and(|agent| agent.incarnation != register.incarnation);
        self.tell_unknown(&register.advertisement, &who);
        let registration = Registration {
            name: register.name.clone(),
            incarnation: register.incarnation.clone(),
            slots: register.slots,
            advertisement: register.advertisement.clone(),
            credential_hash,
        };
        if self.store().register(registration).await?.is_none() {
            return Err(AppError::Superseded(format!(
                "a later process of this {} registered already; if none does, as after its directory was restored from a copy, \
                 say `windlass agents remove {who}`",
                register.kind.as_str()
            )));
        }
        self.log(
            Level::Info,
            &format!(
                "registration from {who} at {address}: {}",
                register.advertisement
            ),
        );
        let login = AgentLogin {
            kind: register.kind,
            name: register.name,
        };
        // An older process of that name, which waits for work, is told at once that it is the older one.
        self.inner.wake.agent(login.kind, &login.name);
        if begins_anew {
            self.give_up(&login, &register.held).await?;
        }
        let (keep, drop, probe) = self.take_up(&login, &register.held).await?;
        self.inner.wake.scheduler();
        Ok(Registered {
            credential: new,
            cluster: self.store().cluster_id().to_owned(),
            lease_seconds: u32::try_from(self.settings().lease.as_secs()).unwrap_or(u32::MAX),
            keep,
            drop,
            probe,
        })
    }

    /// Warns of what an agent advertises and the manager's config does not know.
    fn tell_unknown(&self, advertisement: &Advertisement, who: &str) {
        let settings = self.settings();
        match advertisement {
            Advertisement::Projects(projects) => {
                for project in projects
                    .iter()
                    .filter(|p| !settings.projects.contains_key(*p))
                {
                    let message =
                        format!("{who} builds project {project}, which is not configured here");
                    self.log(Level::Warning, &message);
                }
            }
            Advertisement::Environments(environments) => {
                let known = |target| {
                    settings
                        .projects
                        .values()
                        .any(|p| p.targets.contains(target))
                };
                let targets = environments.values().flatten();
                let unknown: std::collections::BTreeSet<_> =
                    targets.filter(|t| !known(t)).collect();
                for target in unknown {
                    let message =
                        format!("{who} installs into {target}, which no project here has");
                    self.log(Level::Warning, &message);
                }
            }
        }
    }

    /// What routing knows of the agents.
    pub(super) async fn known_agents(&self) -> AppResult<Vec<Known>> {
        let registered = self.store().registrations().await?;
        Ok(registered.into_iter().map(known).collect())
    }

    /// The installers in an environment.
    pub(super) async fn known_installers(
        &self,
        environment: &Environment,
    ) -> AppResult<Vec<Known>> {
        let installers = self.store().installers(environment).await?;
        Ok(installers.into_iter().map(known).collect())
    }

    /// What routing a request has to know of the agents, where it can be routed: a builder, and those that would install.
    pub(super) async fn known_agents_for(&self, request: &Request) -> AppResult<Vec<Known>> {
        let mut agents = match &request.environment {
            Some(environment) => self.known_installers(environment).await?,
            None => Vec::new(),
        };
        if let Wanted::Source { .. } = request.wanted {
            let builder = self.store().builder(&request.project).await?;
            agents.extend(builder.map(known));
        }
        Ok(agents)
    }

    /// Wakes the agents that jobs of a transaction wait for.
    pub(super) fn wake_agents_of(&self, whole: &Whole) {
        for job in &whole.jobs {
            if let Some(agent) = job.agent.as_ref().filter(|_| !job.state.is_settled()) {
                self.inner.wake.agent(job.kind, agent);
            }
        }
    }

    /// Forgets an agent; gives whether there was one. What it had in hand expires.
    pub async fn remove_agent(&self, kind: AgentKind, name: &AgentName) -> AppResult<bool> {
        let removed = self.store().remove(kind, name).await?;
        if removed {
            // Its poll, which waits for work, is told at once.
            self.inner.wake.agent(kind, name);
            self.log(Level::Info, &format!("{} {name} removed", kind.as_str()));
        }
        Ok(removed)
    }

    /// Gives an agent no more work, or work again; gives whether there is such an agent.
    pub async fn drain_agent(
        &self,
        kind: AgentKind,
        name: &AgentName,
        draining: bool,
    ) -> AppResult<bool> {
        let state = if draining {
            AgentState::Draining
        } else {
            AgentState::Active
        };
        let found = self.store().set_state(kind, name, state).await?;
        self.inner.wake.agent(kind, name);
        self.inner.wake.scheduler();
        Ok(found)
    }
}
