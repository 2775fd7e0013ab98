//! Registrations: which builders and installers there are, and what they advertise.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use windlass_model::release::{Advertisement, AgentKind, AgentName, Environment, Micros, Project};

use crate::error::StoreError;
use crate::fresh;
use crate::sql::dialect::insert;
use crate::sql::value::values;
use crate::sql::{Row, Session};
use crate::store::Store;

/// What an agent says of itself. Its kind is that of its advertisement.
#[derive(Clone)]
pub struct Registration {
    /// Its name, unique among those of its kind.
    pub name: AgentName,
    /// What tells one process of the agent from the next, which is greater as text; at most 255 bytes.
    pub incarnation: String,
    /// Jobs that it does at once.
    pub slots: u32,
    /// What it can do.
    pub advertisement: Advertisement,
    /// The hash of a new credential; none: it keeps the one that it has. At most 255 bytes.
    pub credential_hash: Option<String>,
}

impl Registration {
    /// Whether it comes late: the agent that registered is a later process of the same one, which has the same credential.
    pub fn is_older_than(&self, known: &AgentRecord) -> bool {
        self.is_older(known.credential_hash.as_deref(), &known.incarnation)
    }

    fn is_older(&self, credential_hash: Option<&str>, incarnation: &str) -> bool {
        let own = self.credential_hash.as_deref();
        (own.is_none() || own == credential_hash) && self.incarnation.as_str() < incarnation
    }
}

/// Whether an agent gets jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentState {
    /// It does.
    Active,
    /// It finishes what it has.
    Draining,
}

impl AgentState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Draining => "draining",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Active, Self::Draining]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

/// An agent as the store knows it.
#[derive(Clone, PartialEq, Eq)]
pub struct AgentRecord {
    /// Its id; it stays the same when it registers again.
    pub id: String,
    /// What it is.
    pub kind: AgentKind,
    /// Its name.
    pub name: AgentName,
    /// Its newest process.
    pub incarnation: String,
    /// Jobs that it does at once.
    pub slots: u32,
    /// What it can do.
    pub advertisement: Advertisement,
    /// The hash of its credential.
    pub credential_hash: Option<String>,
    /// Whether it gets jobs.
    pub state: AgentState,
    /// When it registered last.
    pub registered_at: Micros,
    /// When it was heard of last.
    pub seen_at: Micros,
}

impl fmt::Debug for AgentRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentRecord")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("name", &self.name)
            .field("incarnation", &self.incarnation)
            .field("slots", &self.slots)
            .field("advertisement", &self.advertisement)
            .field("state", &self.state)
            .field("seen_at", &self.seen_at)
            .finish_non_exhaustive()
    }
}

const COLUMNS: &str =
    "id, kind, name, credential_hash, incarnation, slots, state, registered_at, seen_at";

impl Store {
    /// Writes down an agent, or what changed of it; whether it drains stays as it was. May be called again. None: a later process of
    /// the agent registered already, and nothing changes.
    pub async fn register(
        &self,
        registration: Registration,
    ) -> Result<Option<AgentRecord>, StoreError> {
        self.database
            .write(registration, |registration, session| {
                Box::pin(register(session, registration))
            })
            .await
    }

    /// All agents, ordered by kind and name.
    pub async fn registrations(&self) -> Result<Vec<AgentRecord>, StoreError> {
        let mut session = self.database.session().await?;
        let sql = format!("SELECT {COLUMNS} FROM agent ORDER BY kind, name");
        let agents = session.rows(&sql, Vec::new()).await?;
        let sql = "SELECT agent, project, env, target FROM advert";
        let adverts = session.rows(sql, Vec::new()).await?;
        records(&agents, adverts)
    }

    /// An agent.
    pub async fn agent(
        &self,
        kind: AgentKind,
        name: &AgentName,
    ) -> Result<Option<AgentRecord>, StoreError> {
        let mut session = self.database.session().await?;
        read(&mut session, kind, name).await
    }

    /// One of the agents that advertise a project, if there is any; what else it advertises is left out.
    pub async fn builder(&self, project: &Project) -> Result<Option<AgentRecord>, StoreError> {
        let mut session = self.database.session().await?;
        let sql = "SELECT agent, project, env, target FROM advert WHERE project = ? LIMIT 1";
        let Some(advert) = session.row(sql, values![project]).await? else {
            return Ok(None);
        };
        let sql = format!("SELECT {COLUMNS} FROM agent WHERE id = ?");
        let agent = session.row(&sql, values![advert.text("agent")?]).await?;
        agent.map(|row| record(&row, &[advert])).transpose()
    }

    /// The agents that advertise an environment, ordered by name; what they advertise elsewhere is left out.
    pub async fn installers(
        &self,
        environment: &Environment,
    ) -> Result<Vec<AgentRecord>, StoreError> {
        let mut session = self.database.session().await?;
        // an environment has a row of its own, without a target
        let sql = format!(
            "SELECT {COLUMNS} FROM advert JOIN agent ON agent.id = advert.agent \
             WHERE advert.env = ? AND advert.target = '' ORDER BY name"
        );
        let agents = session.rows(&sql, values![environment]).await?;
        let sql = "SELECT agent, project, env, target FROM advert WHERE env = ?";
        let adverts = session.rows(sql, values![environment]).await?;
        records(&agents, adverts)
    }

    /// An agent's process was heard of. Gives false where it is not the newest of that agent.
    pub async fn seen(
        &self,
        kind: AgentKind,
        name: &AgentName,
        incarnation: &str,
    ) -> Result<bool, StoreError> {
        let who = (kind, name.clone(), incarnation.to_owned());
        self.database
            .write(who, |(kind, name, incarnation), session| {
                Box::pin(async move {
                    let now = session.now().await?;
                    let sql = "UPDATE agent SET seen_at = ? WHERE kind = ? AND name = ? AND incarnation = ?";
                    let values = values![now, kind.as_str(), &*name, &*incarnation];
                    Ok::<_, StoreError>(session.execute(sql, values).await? > 0)
                })
            })
            .await
    }

    /// Says whether an agent gets jobs. Gives false where it is none.
    pub async fn set_state(
        &self,
        kind: AgentKind,
        name: &AgentName,
        state: AgentState,
    ) -> Result<bool, StoreError> {
        let what = (kind, name.clone(), state);
        self.database
            .write(what, |(kind, name, state), session| {
                Box::pin(async move {
                    let sql = "UPDATE agent SET state = ? WHERE kind = ? AND name = ?";
                    let values = values![state.as_str(), kind.as_str(), &*name];
                    Ok::<_, StoreError>(session.execute(sql, values).await? > 0)
                })
            })
            .await
    }

    /// Forgets an agent and its credential. Gives false where it is none. What it installed, and its jobs, stay.
    pub async fn remove(&self, kind: AgentKind, name: &AgentName) -> Result<bool, StoreError> {
        self.database
            .write((kind, name.clone()), |(kind, name), session| {
                Box::pin(remove(session, *kind, name))
            })
            .await
    }
}

async fn remove(
    session: &mut Session,
    kind: AgentKind,
    name: &AgentName,
) -> Result<bool, StoreError> {
    let Some(row) = lock(session, kind, name).await? else {
        return Ok(false);
    };
    let id = row.text("id")?;
    let adverts = "DELETE FROM advert WHERE agent = ?";
    session.execute(adverts, values![&id]).await?;
    let agent = "DELETE FROM agent WHERE id = ?";
    Ok(session.execute(agent, values![&id]).await? > 0)
}

/// An agent's own row, which is ours then.
async fn lock(
    session: &mut Session,
    kind: AgentKind,
    name: &AgentName,
) -> Result<Option<Row>, StoreError> {
    let sql =
        "SELECT id, credential_hash, incarnation FROM agent WHERE kind = ? AND name = ? {lock}";
    session.row(sql, values![kind.as_str(), name]).await
}

async fn register(
    session: &mut Session,
    new: &Registration,
) -> Result<Option<AgentRecord>, StoreError> {
    let now = session.now().await?;
    let kind = new.advertisement.kind();
    let columns = [
        "id",
        "kind",
        "name",
        "incarnation",
        "slots",
        "state",
        "registered_at",
        "seen_at",
    ];
    let sql = session.dialect().insert_new("agent", &columns);
    let values = values![
        fresh::random(20)?,
        kind.as_str(),
        &new.name,
        &new.incarnation,
        new.slots,
        AgentState::Active.as_str(),
        now,
        now,
    ];
    session.execute(&sql, values).await?;
    let Some(row) = lock(session, kind, &new.name).await? else {
        return Err(StoreError::Busy(format!("{} is being removed", new.name)));
    };
    let known = row.opt_text("credential_hash")?;
    if new.is_older(known.as_deref(), &row.text("incarnation")?) {
        return Ok(None);
    }
    let id = row.text("id")?;
    let sql = "UPDATE agent SET incarnation = ?, slots = ?, registered_at = ?, seen_at = ?, \
               credential_hash = COALESCE(?, credential_hash) WHERE id = ?";
    let values = values![
        &new.incarnation,
        new.slots,
        now,
        now,
        &new.credential_hash,
        &id,
    ];
    session.execute(sql, values).await?;
    let sql = "DELETE FROM advert WHERE agent = ?";
    session.execute(sql, values![&id]).await?;
    let sql = insert("advert", &["agent", "project", "env", "target"], &[]);
    for (project, environment, target) in lines(&new.advertisement) {
        let values = values![&id, project, environment, target];
        session.execute(&sql, values).await?;
    }
    let record = read(session, kind, &new.name).await?;
    let none = || StoreError::Corrupt(format!("agent {} has no row", new.name));
    record.ok_or_else(none).map(Some)
}

/// An advertisement as rows: project, environment, target. An environment without targets has one of its own.
fn lines(advertisement: &Advertisement) -> Vec<(&str, &str, &str)> {
    match advertisement {
        Advertisement::Projects(projects) => {
            projects.iter().map(|p| (p.as_str(), "", "")).collect()
        }
        Advertisement::Environments(environments) => {
            let mut lines = Vec::new();
            for (environment, targets) in environments {
                lines.push(("", environment.as_str(), ""));
                let targets = targets
                    .iter()
                    .map(|t| ("", environment.as_str(), t.as_str()));
                lines.extend(targets);
            }
            lines
        }
    }
}

async fn read(
    session: &mut Session,
    kind: AgentKind,
    name: &AgentName,
) -> Result<Option<AgentRecord>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM agent WHERE kind = ? AND name = ?");
    let Some(row) = session.row(&sql, values![kind.as_str(), name]).await? else {
        return Ok(None);
    };
    let sql = "SELECT agent, project, env, target FROM advert WHERE agent = ?";
    let adverts = session.rows(sql, values![&row.text("id")?]).await?;
    record(&row, &adverts).map(Some)
}

/// Agents with what they advertise.
fn records(agents: &[Row], adverts: Vec<Row>) -> Result<Vec<AgentRecord>, StoreError> {
    let mut of: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in adverts {
        of.entry(row.text("agent")?).or_default().push(row);
    }
    let mut records = Vec::with_capacity(agents.len());
    for row in agents {
        let own = of.remove(&row.text("id")?).unwrap_or_default();
        records.push(record(row, &own)?);
    }
    Ok(records)
}

fn record(row: &Row, adverts: &[Row]) -> Result<AgentRecord, StoreError> {
    let kind = row.one_of("kind", AgentKind::from_name)?;
    let advertisement = match kind {
        AgentKind::Builder => {
            let projects: Result<_, _> = adverts.iter().map(|row| row.name("project")).collect();
            Advertisement::Projects(projects?)
        }
        AgentKind::Installer => {
            let mut environments: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
            for row in adverts {
                let targets = environments.entry(row.name("env")?).or_default();
                if !row.text("target")?.is_empty() {
                    targets.insert(row.name("target")?);
                }
            }
            Advertisement::Environments(environments)
        }
    };
    Ok(AgentRecord {
        id: row.text("id")?,
        kind,
        name: row.name("name")?,
        incarnation: row.text("incarnation")?,
        slots: row.count("slots")?,
        advertisement,
        credential_hash: row.opt_text("credential_hash")?,
        state: row.one_of("state", AgentState::from_name)?,
        registered_at: row.int("registered_at")?,
        seen_at: row.int("seen_at")?,
    })
}
