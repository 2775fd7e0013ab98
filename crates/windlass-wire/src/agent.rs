//! The protocol between agents and managers, version 1: JSON over HTTP below `/agent/v1`. Agents call; nothing calls them.
//!
//! Agents are given durations, never times: their clocks need not be right. Every call may be sent again when it was not
//! answered: the same report is answered the same way.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_model::release::machine::Verdict;
use windlass_model::release::whole::{AgentKind, InstalledRow};
use windlass_model::release::{Advertisement, AgentName, Digest, Epoch, Index, JobId, JobSpec};

use crate::connection::{Connection, Patience, WireError};

/// The version that is spoken.
pub const PROTOCOL: u32 = 1;
/// Longest time that a manager holds a poll that has nothing to tell, in seconds.
pub const LONGEST_WAIT: u32 = 60;
/// How long an agent waits for its first answer, before it knows how long a lease is.
const FIRST_ANSWER: Duration = Duration::from_secs(8);

/// A job that an agent has, and under which right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Which.
    pub job: JobId,
    /// Its lease.
    pub epoch: Epoch,
}

/// `POST register`. The agent says a secret of its own making as its bearer token, in the form of [`credential`], and keeps it: so
/// registering again after an answer that was lost is the same registration. Whoever says none is given one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Register {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// Builder or installer.
    pub kind: AgentKind,
    /// Unique among agents of its kind.
    pub name: AgentName,
    /// Greater, as text, each time that the agent is started: a request of an earlier process that comes late is refused.
    pub incarnation: String,
    /// A one-time token, where the agent has no credential yet and the manager wants one.
    pub token: Option<String>,
    /// Jobs that it does at once.
    pub slots: u32,
    /// What it can do.
    pub advertisement: Advertisement,
    /// What it has in hand, or had when it was stopped.
    pub held: Vec<Held>,
}

/// What registering gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Registered {
    /// What the agent says from now on as its bearer token; none: what it said.
    pub credential: Option<String>,
    /// Of the manager's store: an agent keeps what it knows for each cluster apart.
    pub cluster: String,
    /// How long a lease lasts, in seconds.
    pub lease_seconds: u32,
    /// Of those held: to go on with.
    pub keep: Vec<Held>,
    /// Of those held: somebody else's by now, or nobody's.
    pub drop: Vec<JobId>,
    /// To be probed, each under the lease that it was begun under.
    pub probe: Vec<Held>,
}

/// `POST poll`. Renews the leases of what is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poll {
    /// The agent's own incarnation.
    pub incarnation: String,
    /// Jobs that it could begin; 0: it only renews.
    pub free: u32,
    /// How long it waits for an answer when there is nothing for it, in seconds; at most [`LONGEST_WAIT`].
    pub wait_seconds: u32,
    /// What it has in hand.
    pub held: Vec<Held>,
}

/// A job that is given to an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Given {
    /// Which.
    pub job: JobId,
    /// The right to begin it.
    pub epoch: Epoch,
    /// What is to be done.
    pub spec: JobSpec,
}

/// What a poll gives.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Polled {
    /// To be done.
    pub jobs: Vec<Given>,
    /// Of those held: to be stopped, superseded or taken back.
    pub revoked: Vec<JobId>,
    /// To be probed: what does the agent's own journal say of them, each under the lease that it was begun under?
    pub probe: Vec<Held>,
}

/// `POST jobs/ID/start`: nothing may be done before it is answered with yes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// The lease.
    pub epoch: Epoch,
}

/// `POST jobs/ID/finish`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finish {
    /// The lease.
    pub epoch: Epoch,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Outcome {
    /// A build, whose blobs are uploaded.
    Built {
        /// Its table of contents.
        index: Index,
    },
    /// An action of a project's own, which gives no release.
    Ran,
    /// An install.
    Installed {
        /// What is where now; empty: the release is on the installer's own machine.
        rows: Vec<InstalledRow>,
    },
    /// It failed.
    Failed {
        /// Why.
        why: String,
        /// What an install left where all the same.
        rows: Vec<InstalledRow>,
    },
    /// It is not known what an install did.
    Unknown {
        /// What to look at.
        why: String,
    },
}

/// `POST jobs/ID/probe`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probed {
    /// The lease that was asked about.
    pub epoch: Epoch,
    /// What the agent's journal says.
    pub verdict: Verdict,
}

/// The answer to what was sent of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogHas {
    /// Bytes that the manager has.
    pub length: u64,
}

/// An agent's side of the protocol. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AgentClient {
    connection: Connection,
    /// For polls.
    polls: Connection,
}

impl AgentClient {
    /// Speaks over a connection, whose bearer token is the agent's credential.
    pub fn new(connection: Connection) -> Self {
        let connection = connection.with_patience(Patience {
            answer: FIRST_ANSWER,
            ..Patience::default()
        });
        Self {
            polls: connection.clone(),
            connection,
        }
    }

    /// The same with another credential.
    pub fn with_credential(&self, credential: Option<String>) -> Self {
        Self {
            connection: self.connection.with_bearer(credential.clone()),
            polls: self.polls.with_bearer(credential),
        }
    }

    /// The same, with calls that are given up in time to be made again before a lease is over: where a link is cut without a word,
    /// the next call must not find that out too late. A poll that was not answered leaves time for another one.
    pub fn with_lease(&self, lease: Duration) -> Self {
        let usual = Patience::default();
        let patient = Patience {
            answer: usual.answer.min(lease / 2),
            stall: usual.stall.min(lease),
        };
        let hasty = Patience {
            answer: usual.answer.min(lease / 4),
            ..patient
        };
        Self {
            connection: self.connection.with_patience(patient),
            polls: self.connection.with_patience(hasty),
        }
    }

    /// Registers. May be repeated.
    pub async fn register(&self, register: &Register) -> Result<Registered, WireError> {
        self.connection.post("agent/v1/register", register).await
    }

    /// Asks for work, and renews what is held. Waits as long as it says.
    pub async fn poll(&self, poll: &Poll) -> Result<Polled, WireError> {
        let wait = Duration::from_secs(u64::from(poll.wait_seconds));
        self.polls.post_within("agent/v1/poll", poll, wait).await
    }

    /// Says that a job begins. Only an answer gives the right to.
    pub async fn start(&self, job: &JobId, epoch: Epoch) -> Result<(), WireError> {
        let path = format!("agent/v1/jobs/{job}/start");
        let _: serde_json::Value = self.connection.post(&path, &Start { epoch }).await?;
        Ok(())
    }

    /// Says what came of a job.
    pub async fn finish(&self, job: &JobId, finish: &Finish) -> Result<(), WireError> {
        let path = format!("agent/v1/jobs/{job}/finish");
        let _: serde_json::Value = self.connection.post(&path, finish).await?;
        Ok(())
    }

    /// Says what its journal knows of a job.
    pub async fn probed(
        &self,
        job: &JobId,
        epoch: Epoch,
        verdict: Verdict,
    ) -> Result<(), WireError> {
        let path = format!("agent/v1/jobs/{job}/probe");
        let _: serde_json::Value = self
            .connection
            .post(&path, &Probed { epoch, verdict })
            .await?;
        Ok(())
    }

    /// Sends bytes of a job's log, which stand at `offset` in it.
    pub async fn log(
        &self,
        job: &JobId,
        epoch: Epoch,
        offset: u64,
        text: bytes::Bytes,
    ) -> Result<LogHas, WireError> {
        let path = format!("agent/v1/jobs/{job}/log?epoch={epoch}&offset={offset}");
        self.connection.post_bytes(&path, text).await
    }

    /// Bytes of a blob that the manager has: all of them, or those of an upload that was cut off. `None`: it has it whole.
    pub async fn blob_offset(
        &self,
        job: &JobId,
        digest: &Digest,
    ) -> Result<Option<u64>, WireError> {
        let path = format!("agent/v1/blobs/{digest}?job={job}");
        Ok(blob_offset(&self.connection.head(&path).await?))
    }

    /// Uploads a file as a blob, from where an earlier upload was cut off. `length`: the file's, in bytes.
    pub async fn put_blob(
        &self,
        job: &JobId,
        digest: &Digest,
        path: &std::path::Path,
        length: u64,
    ) -> Result<(), WireError> {
        let Some(offset) = self.blob_offset(job, digest).await? else {
            return Ok(());
        };
        let to = format!("agent/v1/blobs/{digest}?job={job}&offset={offset}");
        self.connection.put_file(&to, path, offset, length).await
    }

    /// Fetches a blob into a file, going on where the file ends; gives the file's digest, which the caller verifies.
    pub async fn get_blob(
        &self,
        job: &JobId,
        digest: &Digest,
        path: &std::path::Path,
    ) -> Result<Digest, WireError> {
        let from = format!("agent/v1/blobs/{digest}?job={job}");
        self.connection.get_file(&from, path).await
    }
}

/// Hex digits of the secret in a credential.
const SECRET_DIGITS: usize = 64;

/// What an agent says to prove who it is: `KIND:NAME:SECRET`, where the secret is 32 random bytes in hex.
pub fn credential(kind: AgentKind, name: &AgentName, secret: &[u8; 32]) -> String {
    let secret = data_encoding::HEXLOWER.encode(secret);
    format!("{}:{name}:{secret}", kind.as_str())
}

/// Whose credential that is; none where it has not the form of one.
pub fn owner(credential: &str) -> Option<(AgentKind, AgentName)> {
    let mut parts = credential.splitn(3, ':');
    let (kind, name, secret) = (parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let is_secret = secret.len() == SECRET_DIGITS && secret.bytes().all(is_hex);
    let owner = (AgentKind::from_name(kind)?, name.parse().ok()?);
    is_secret.then_some(owner)
}

/// What a manager's answer says it has of a blob, as [`AgentClient::blob_offset`] gives it.
pub(crate) fn blob_offset(headers: &http::HeaderMap) -> Option<u64> {
    let whole = headers.get("x-windlass-have").is_some_and(|v| v == "whole");
    let offset = headers
        .get("x-windlass-offset")
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.parse().ok());
    (!whole).then(|| offset.unwrap_or(0))
}
