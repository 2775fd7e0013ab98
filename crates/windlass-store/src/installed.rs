//! What is where: maintained with each install, not computed.

use windlass_model::release::machine::Refusal;
use windlass_model::release::{
    AgentName, Effect, Environment, Micros, Project, ReleaseId, TargetName, Transaction,
    TransactionId, Version,
};

use crate::error::{ChangeError, StoreError};
use crate::sql::value::values;
use crate::sql::{Row, Session, Where};
use crate::store::Store;

/// Longest name of a host, in bytes.
const LONGEST_HOST: usize = 255;

/// A release on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// The environment.
    pub environment: Environment,
    /// The target.
    pub target: TargetName,
    /// The installer.
    pub agent: AgentName,
    /// The host; `local` is the installer's own machine.
    pub host: String,
    /// What is there.
    pub release: ReleaseId,
    /// The other release of the project that was there before.
    pub previous_good: Option<ReleaseId>,
    /// The transaction that put it there.
    pub transaction: TransactionId,
    /// When.
    pub at: Micros,
}

/// Which rows; what is none does not matter.
#[derive(Clone, Debug, Default)]
pub struct InstalledFilter {
    /// Of this environment.
    pub environment: Option<Environment>,
    /// Of this project.
    pub project: Option<Project>,
    /// Of this target.
    pub target: Option<TargetName>,
    /// Of this installer.
    pub agent: Option<AgentName>,
}

impl Store {
    /// What is where, ordered by environment, project, target, installer and host.
    pub async fn installed(&self, filter: &InstalledFilter) -> Result<Vec<Installed>, StoreError> {
        let mut wanted = Where::default();
        wanted.when("env = ?", filter.environment.as_ref());
        wanted.when("project = ?", filter.project.as_ref());
        wanted.when("target = ?", filter.target.as_ref());
        wanted.when("agent = ?", filter.agent.as_ref());
        let sql = format!(
            "SELECT env, project, target, agent, host, version, previous_good, tx, at FROM installed{} \
             ORDER BY env, project, target, agent, host",
            wanted.sql()
        );
        let mut session = self.database.session().await?;
        let rows = session.rows(&sql, wanted.values).await?;
        rows.iter().map(installed).collect()
    }
}

fn installed(row: &Row) -> Result<Installed, StoreError> {
    let project: Project = row.name("project")?;
    let previous: Option<Version> = row.opt_name("previous_good")?;
    Ok(Installed {
        environment: row.name("env")?,
        target: row.name("target")?,
        agent: row.name("agent")?,
        host: row.text("host")?,
        release: ReleaseId::new(project.clone(), row.name("version")?),
        previous_good: previous.map(|version| ReleaseId::new(project, version)),
        transaction: row.name("tx")?,
        at: row.int("at")?,
    })
}

/// Writes a row; what was there before, when it is another release, is what was good before. A row of a later transaction stays: an
/// installer never begins an older one after it, so what is told of an older one now is told late.
pub(crate) async fn put(
    session: &mut Session,
    transaction: &Transaction,
    effect: &Effect,
    now: Micros,
) -> Result<(), ChangeError> {
    let Effect::Installed {
        environment,
        target,
        agent,
        host,
        release,
    } = effect
    else {
        return Ok(());
    };
    if host.is_empty() || host.len() > LONGEST_HOST {
        let why = format!(
            "the name of a host has 1 to {LONGEST_HOST} bytes, not {}",
            host.len()
        );
        return Err(Refusal::Illegal(why).into());
    }
    let sql = "SELECT version, previous_good, (SELECT seq FROM tx WHERE tx.id = installed.tx) AS seq \
               FROM installed WHERE env = ? AND project = ? AND target = ? AND agent = ? AND host = ? {lock}";
    let keys = values![environment, &release.project, target, agent, host];
    let previous: Option<Version> = match session.row(sql, keys.clone()).await? {
        None => None,
        Some(row) => {
            let by = row.opt_int("seq")?.and_then(|seq| u64::try_from(seq).ok());
            if by.is_some_and(|by| by > transaction.sequence) {
                return Ok(());
            }
            let there: Version = row.name("version")?;
            match there == release.version {
                true => row.opt_name("previous_good")?,
                false => Some(there),
            }
        }
    };
    let upsert = session.dialect().upsert(
        "installed",
        &["env", "project", "target", "agent", "host"],
        &["version", "previous_good", "tx", "at"],
    );
    let columns = values![&release.version, &previous, &transaction.id, now];
    session.execute(&upsert, [keys, columns].concat()).await?;
    Ok(())
}
