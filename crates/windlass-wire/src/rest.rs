//! What clients are told: one set of types for the JSON below `/api/v1`, for XML-RPC's structs and for the command line.
//!
//! Times are texts in UTC, as in `2026-11-22T10:00:00.123456Z`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use windlass_model::event::RunEnd;
use windlass_model::ids::RunId;
use windlass_model::release::whole::AgentKind;
use windlass_model::release::{
    Advertisement, AgentName, Digest, Environment, Index, JobId, JobState, Project, ReleaseId,
    Status, TargetName, TransactionId,
};

use crate::agent::blob_offset;
use crate::connection::{Chunks, Connection, Download, WireError};

/// A transaction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransactionView {
    /// Its id.
    pub transaction: TransactionId,
    /// What `query_transaction` answers.
    pub status: Status,
    /// Of what.
    pub project: Project,
    /// What was asked for.
    pub action: String,
    /// Where to.
    pub environment: Option<Environment>,
    /// The release, once there is one.
    pub release: Option<ReleaseId>,
    /// Who asked.
    pub actor: String,
    /// Why it ended as it did.
    pub why: Option<String>,
    /// When it was asked for.
    pub time: String,
    /// When it ended.
    pub ended: Option<String>,
}

/// A job of a transaction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobView {
    /// Its id.
    pub job: JobId,
    /// Whose work.
    pub kind: AgentKind,
    /// The target of an install.
    pub target: Option<TargetName>,
    /// Who has it.
    pub agent: Option<AgentName>,
    /// The wave of an install.
    pub wave: u32,
    /// How far it has come.
    pub state: JobState,
    /// What came of it.
    pub result: Option<String>,
}

/// A transaction with its jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransactionDetail {
    /// The transaction.
    #[serde(flatten)]
    pub transaction: TransactionView,
    /// Its jobs.
    pub jobs: Vec<JobView>,
    /// Grows with everything that is recorded about it.
    pub version: u64,
}

/// An entry of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// When.
    pub time: String,
    /// Who.
    pub actor: String,
    /// From where.
    pub address: String,
    /// What.
    pub what: String,
    /// More for people.
    pub detail: String,
}

/// A project that the manager knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectView {
    /// Its name.
    pub project: Project,
    /// Its targets.
    pub targets: Vec<TargetName>,
    /// What can be asked for.
    pub actions: Vec<String>,
    /// Builders that can build it.
    pub builders: Vec<AgentName>,
}

/// An environment that an installer advertises, or the manager's config names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentView {
    /// Its name.
    pub environment: Environment,
    /// Where a release must be installed before.
    pub from: Option<Environment>,
    /// Targets that can be installed into.
    pub targets: Vec<TargetName>,
    /// Installers of it.
    pub installers: Vec<AgentName>,
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentView {
    /// Builder or installer.
    pub kind: AgentKind,
    /// Its name.
    pub name: AgentName,
    /// `active` or `draining`.
    pub state: String,
    /// Whether it was heard of within its lease.
    pub online: bool,
    /// Jobs that it does at once.
    pub slots: u32,
    /// What it advertises.
    pub advertisement: Advertisement,
    /// When it was last heard of.
    pub seen: String,
}

/// A release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReleaseView {
    /// Its id.
    pub release: ReleaseId,
    /// Its table of contents.
    pub index: Index,
    /// Why it must not be installed.
    pub rejected: Option<String>,
    /// The transaction that built it.
    pub transaction: Option<TransactionId>,
    /// When it was built.
    pub time: String,
}

/// What is where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledView {
    /// Environment.
    pub environment: Environment,
    /// Project.
    pub project: Project,
    /// Target.
    pub target: TargetName,
    /// By which installer.
    pub agent: AgentName,
    /// On which host.
    pub host: String,
    /// What.
    pub release: ReleaseId,
    /// What was there before.
    pub previous: Option<ReleaseId>,
    /// By which transaction.
    pub transaction: TransactionId,
    /// Since when.
    pub time: String,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requested {
    /// The transaction.
    pub transaction: TransactionId,
    /// Its status by then.
    pub status: Status,
}

/// Says what came of a job whose outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settle {
    /// What the operator says.
    pub settled: windlass_model::release::machine::Settled,
}

/// How old histories must be to be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prune {
    /// Days since the transaction ended.
    pub days: u32,
}

/// What was forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// Entries of histories.
    pub entries: u64,
}

/// A reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// For people.
    pub reason: String,
}

/// What an agent needs to join, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentToken {
    /// To be given to the agent.
    pub token: String,
    /// How long it can be used, in seconds.
    pub seconds: u32,
}

/// A run that deployed a release without an installer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployed {
    /// The run.
    pub run: RunId,
    /// Who ran it, where: `user@machine`.
    pub by: String,
    /// How it ended.
    pub end: RunEnd,
}

/// A client of the JSON below `/api/v1`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    connection: Connection,
}

impl Client {
    /// Speaks over a connection.
    pub fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// The manager's URL.
    pub fn url(&self) -> &str {
        self.connection.url()
    }

    /// Asks for an action. With a `request_id` in the data it may be repeated.
    pub async fn request(&self, data: &Map<String, Value>) -> Result<Requested, WireError> {
        self.connection.post("api/v1/transactions", data).await
    }

    /// A transaction with its jobs.
    pub async fn transaction(&self, id: &TransactionId) -> Result<TransactionDetail, WireError> {
        self.connection
            .get(&format!("api/v1/transactions/{id}"))
            .await
    }

    /// The same, as soon as something is recorded that `seen` did not have, or after some seconds all the same.
    pub async fn news(
        &self,
        seen: &TransactionDetail,
        wait: u32,
    ) -> Result<TransactionDetail, WireError> {
        let (id, version) = (&seen.transaction.transaction, seen.version);
        let path = format!("api/v1/transactions/{id}?after={version}&wait={wait}");
        let wait = std::time::Duration::from_secs(u64::from(wait));
        self.connection.get_within(&path, wait).await
    }

    /// The newest transactions first.
    pub async fn transactions(
        &self,
        project: Option<&Project>,
        limit: u32,
    ) -> Result<Vec<TransactionView>, WireError> {
        let mut path = format!("api/v1/transactions?limit={limit}");
        if let Some(project) = project {
            path.push_str(&format!("&project={project}"));
        }
        self.connection.get(&path).await
    }

    /// Everything that is recorded about a transaction, oldest first.
    pub async fn history(&self, id: &TransactionId) -> Result<Vec<HistoryEntry>, WireError> {
        self.connection
            .get(&format!("api/v1/transactions/{id}/history"))
            .await
    }

    /// Takes a transaction back. Gives what it is then.
    pub async fn cancel(&self, id: &TransactionId) -> Result<TransactionView, WireError> {
        let path = format!("api/v1/transactions/{id}/cancel");
        self.connection.post(&path, &()).await
    }

    /// Says what came of a job.
    pub async fn settle(
        &self,
        id: &TransactionId,
        job: &JobId,
        settle: Settle,
    ) -> Result<TransactionView, WireError> {
        let path = format!("api/v1/transactions/{id}/jobs/{job}/settle");
        self.connection.post(&path, &settle).await
    }

    /// A job's log from an offset: the next bytes of it, as text; empty when there are no more.
    pub async fn log(
        &self,
        id: &TransactionId,
        job: &JobId,
        offset: u64,
    ) -> Result<LogPart, WireError> {
        let path = format!("api/v1/transactions/{id}/jobs/{job}/log?offset={offset}");
        self.connection.get(&path).await
    }

    /// The projects that the manager knows.
    pub async fn projects(&self) -> Result<Vec<ProjectView>, WireError> {
        self.connection.get("api/v1/projects").await
    }

    /// The environments.
    pub async fn environments(&self) -> Result<Vec<EnvironmentView>, WireError> {
        self.connection.get("api/v1/environments").await
    }

    /// The agents.
    pub async fn agents(&self) -> Result<Vec<AgentView>, WireError> {
        self.connection.get("api/v1/agents").await
    }

    /// Forgets an agent.
    pub async fn remove_agent(&self, kind: AgentKind, name: &AgentName) -> Result<bool, WireError> {
        let path = format!("api/v1/agents/{}/{name}", kind.as_str());
        self.connection.delete(&path).await
    }

    /// Gives an agent no more work, or again.
    pub async fn drain_agent(
        &self,
        kind: AgentKind,
        name: &AgentName,
        draining: bool,
    ) -> Result<bool, WireError> {
        let what = if draining { "drain" } else { "resume" };
        let path = format!("api/v1/agents/{}/{name}/{what}", kind.as_str());
        self.connection.post(&path, &()).await
    }

    /// Makes a token with which one agent may join.
    pub async fn agent_token(&self) -> Result<AgentToken, WireError> {
        self.connection.post("api/v1/agents/tokens", &()).await
    }

    /// Forgets the histories of transactions that ended so many days ago or earlier.
    pub async fn prune(&self, days: u32) -> Result<Pruned, WireError> {
        self.connection.post("api/v1/prune", &Prune { days }).await
    }

    /// The releases, newest first.
    pub async fn releases(&self, project: Option<&Project>) -> Result<Vec<ReleaseView>, WireError> {
        let path = match project {
            Some(project) => format!("api/v1/releases?project={project}"),
            None => "api/v1/releases".into(),
        };
        self.connection.get(&path).await
    }

    /// Marks a release as one that must not be installed.
    pub async fn reject(
        &self,
        release: &ReleaseId,
        reason: &str,
    ) -> Result<ReleaseView, WireError> {
        let path = format!(
            "api/v1/releases/{}/{}/reject",
            release.project, release.version
        );
        let reason = Reason {
            reason: reason.to_owned(),
        };
        self.connection.post(&path, &reason).await
    }

    /// Tells of a run that deployed a release: an entry of the history of the transaction that built it.
    pub async fn deployed(
        &self,
        release: &ReleaseId,
        deployed: &Deployed,
    ) -> Result<bool, WireError> {
        let (project, version) = (&release.project, &release.version);
        let path = format!("api/v1/releases/{project}/{version}/deploys");
        self.connection.post(&path, deployed).await
    }

    /// What is where.
    pub async fn installed(
        &self,
        project: Option<&Project>,
        environment: Option<&Environment>,
    ) -> Result<Vec<InstalledView>, WireError> {
        let mut query = Vec::new();
        query.extend(project.map(|p| format!("project={p}")));
        query.extend(environment.map(|e| format!("environment={e}")));
        self.connection
            .get(&format!("api/v1/installed?{}", query.join("&")))
            .await
    }

    /// A resource of a release. The caller verifies the digest.
    pub async fn resource(
        &self,
        release: &ReleaseId,
        target: &TargetName,
    ) -> Result<Download, WireError> {
        let (project, version) = (&release.project, &release.version);
        let path = format!("api/v1/releases/{project}/{version}/{target}");
        self.connection.download(&path).await
    }

    /// Where the upload of a blob is to begin; none: the manager has it.
    pub async fn blob_offset(&self, digest: &Digest) -> Result<Option<u64>, WireError> {
        let headers = self
            .connection
            .head(&format!("api/v1/blobs/{digest}"))
            .await?;
        Ok(blob_offset(&headers))
    }

    /// Uploads the rest of a blob: `length` bytes, from an offset that [`Client::blob_offset`] gave.
    pub async fn put_blob(
        &self,
        digest: &Digest,
        offset: u64,
        length: u64,
        chunks: Chunks,
    ) -> Result<(), WireError> {
        let to = format!("api/v1/blobs/{digest}?offset={offset}");
        self.connection.put_chunks(&to, length, chunks).await
    }

    /// Takes a release in, whose blobs were uploaded before.
    pub async fn import(&self, index: &Index) -> Result<ReleaseView, WireError> {
        self.connection.post("api/v1/releases", index).await
    }

    /// The connection, for bytes.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// A part of a job's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPart {
    /// The text; what is no UTF-8 is replaced.
    pub text: String,
    /// Where the next part begins, in bytes.
    pub next: u64,
    /// Whether nothing more will come.
    pub ended: bool,
}
