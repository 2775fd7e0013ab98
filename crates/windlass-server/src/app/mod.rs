//! The use cases of a manager. Everything that HTTP offers calls these; nothing here knows HTTP.

mod advance;
mod agents;
mod bytes;
mod handed;
mod jobs;
mod leases;
mod ledger;
mod queries;
mod requests;
mod rollback;
mod route;
mod schedule;
mod sight;
mod specs;
mod uploads;
mod wake;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use tokio::time::Instant;
use windlass_model::release::machine::Refusal;
use windlass_model::release::{Actor, JobId, Micros, TransactionId};
use windlass_model::step::Level;
use windlass_store::{Blobs, ChangeError, FileError, Logs, StoreError};

use crate::auth::{Ask, Auth, Credentials, Decision, Identity};
use crate::settings::{Log, Reload, Settings};
use wake::Wake;

pub use agents::AgentLogin;
pub use ledger::{Books, Change, Ledger, Written};
pub use requests::Requester;
pub use uploads::Receiving;

/// How long an auth plugin may take to answer; one that takes longer counts as silent.
const AUTH_TIME: Duration = Duration::from_secs(20);

/// A manager's use cases. Cheap to clone.
#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

struct Inner {
    store: Books,
    blobs: Blobs,
    logs: Logs,
    settings: RwLock<Arc<Settings>>,
    reload: Reload,
    log: Log,
    wake: Wake,
    /// Transactions whose answers went out, which is not written down yet.
    delivered: Mutex<Vec<TransactionId>>,
    /// Held while that is written down.
    writing: tokio::sync::Mutex<()>,
    /// Jobs that their installer was asked about: until when it is not asked again; none: it does not know either.
    asked: Mutex<HashMap<JobId, Option<Instant>>>,
    handed: handed::AllHanded,
    uploads: uploads::Uploads,
    /// Whether a rollback may be owed that was not begun.
    owes: AtomicBool,
    /// Held while one is begun.
    rolling_back: tokio::sync::Mutex<()>,
    stopping: tokio::sync::watch::Sender<bool>,
}

/// What an [`App`] is made of.
pub struct Parts {
    /// Opened.
    pub store: Books,
    /// The directory that blobs and logs are kept in.
    pub directory: PathBuf,
    /// Longest blob, in bytes.
    pub blob_limit: u64,
    /// Longest log of a job, in bytes.
    pub log_limit: u64,
    /// As they are now.
    pub settings: Settings,
    /// Reads them again.
    pub reload: Reload,
    /// Takes lines for the log.
    pub log: Log,
}

/// Why a use case was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppError {
    /// The call is at fault: what is wrong, where.
    Malformed(String),
    /// The call is longer than it may be.
    TooLong(String),
    /// Nobody was authenticated.
    Unauthenticated(String),
    /// Somebody may not do that.
    Forbidden(String),
    /// There is no such thing.
    NotFound(String),
    /// It cannot be done in the state that things are in.
    Conflict(String),
    /// The right is an old one, or the transaction was taken back.
    Superseded(String),
    /// The store or a plugin has a fault: to be tried again.
    Unavailable(String),
}

impl std::fmt::Display for AppError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Self::Malformed(text)
        | Self::TooLong(text)
        | Self::Unauthenticated(text)
        | Self::Forbidden(text)
        | Self::NotFound(text)
        | Self::Conflict(text)
        | Self::Superseded(text)
        | Self::Unavailable(text)) = self;
        f.write_str(text)
    }
}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(format!("the store: {error}"))
    }
}

impl From<ChangeError> for AppError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::NoTransaction => Self::NotFound("there is no such transaction".into()),
            ChangeError::Busy { by } => Self::Conflict(format!(
                "transaction {by} installs there: wait for it, or cancel it"
            )),
            ChangeError::Refused(refusal) => match refusal {
                Refusal::NoJob(_) => Self::NotFound(refusal.to_string()),
                Refusal::Superseded | Refusal::Cancelled => Self::Superseded(refusal.to_string()),
                Refusal::Illegal(why) => Self::Conflict(why),
            },
            ChangeError::Store(error) => error.into(),
        }
    }
}

impl From<FileError> for AppError {
    fn from(error: FileError) -> Self {
        match &error {
            FileError::NotFound(_) => Self::NotFound(error.to_string()),
            FileError::Mismatch { .. } | FileError::TooLarge { .. } => {
                Self::Conflict(error.to_string())
            }
            FileError::Busy(_) | FileError::NoSpace(_) | FileError::Io(_) => {
                Self::Unavailable(error.to_string())
            }
        }
    }
}

/// What use cases give.
pub type AppResult<T> = Result<T, AppError>;

impl App {
    /// Over its parts.
    pub async fn new(parts: Parts) -> AppResult<Self> {
        let kept = |what: &str| parts.directory.join(what);
        Ok(Self {
            inner: Arc::new(Inner {
                blobs: Blobs::open_folder(kept("blobs"), parts.blob_limit).await?,
                logs: Logs::open_folder(kept("logs"), parts.log_limit).await?,
                store: parts.store,
                settings: RwLock::new(Arc::new(parts.settings)),
                reload: parts.reload,
                log: parts.log,
                wake: Wake::default(),
                delivered: Mutex::default(),
                writing: tokio::sync::Mutex::default(),
                asked: Mutex::default(),
                handed: handed::AllHanded::default(),
                uploads: uploads::Uploads::default(),
                owes: AtomicBool::new(true),
                rolling_back: tokio::sync::Mutex::default(),
                stopping: tokio::sync::watch::Sender::new(false),
            }),
        })
    }

    fn store(&self) -> &Books {
        &self.inner.store
    }

    /// The settings as they are now.
    pub fn settings(&self) -> Arc<Settings> {
        match self.inner.settings.read() {
            Ok(settings) => settings.clone(),
            Err(poisoned) => poisoned.into_inner().clone(),
        }
    }

    /// Reads the settings again; what is wrong with them is the error, and the old ones stay.
    pub fn reload(&self) -> AppResult<()> {
        let settings = (self.inner.reload)().map_err(AppError::Conflict)?;
        let settings = Arc::new(settings);
        match self.inner.settings.write() {
            Ok(mut held) => *held = settings,
            Err(poisoned) => *poisoned.into_inner() = settings,
        }
        self.log(Level::Info, "settings read again");
        self.inner.wake.scheduler();
        Ok(())
    }

    fn log(&self, level: Level, message: &str) {
        (self.inner.log)(level, "Manager", message);
    }

    fn lease(&self) -> Micros {
        micros(self.settings().lease)
    }

    /// Whether everybody is let in.
    pub fn is_open(&self) -> bool {
        self.settings().auth.is_open()
    }

    /// Who that is. `address` is logged where it fails.
    pub async fn authenticate(
        &self,
        credentials: &Credentials,
        address: &str,
    ) -> AppResult<Identity> {
        let auth = self.settings().auth.clone();
        match in_time(auth.authenticate(credentials)).await {
            Ok(Some(identity)) => Ok(identity),
            Ok(None) => {
                let claimed = credentials
                    .get("username")
                    .and_then(serde_json::Value::as_str)
                    .unwrap_or("nobody");
                let claimed: String = claimed
                    .chars()
                    .filter(|c| !c.is_control())
                    .take(64)
                    .collect();
                self.log(
                    Level::Warning,
                    &format!("{address}: wrong credentials of {claimed:?}"),
                );
                Err(AppError::Unauthenticated(
                    "the credentials are not right: give `username` and `password`".into(),
                ))
            }
            Err(fault) => {
                let fault = without_secrets(fault, credentials);
                self.log(
                    Level::Error,
                    &format!("authentication cannot be done: {fault}"),
                );
                Err(AppError::Unavailable(
                    "authentication cannot be done: see the manager's log".into(),
                ))
            }
        }
    }

    /// Whether somebody may; the error says why not.
    pub async fn authorize(&self, identity: &Identity, ask: Ask<'_>) -> AppResult<()> {
        let auth: Arc<dyn Auth> = self.settings().auth.clone();
        match in_time(auth.authorize(identity, ask)).await {
            Ok(Decision::Yes) => Ok(()),
            Ok(Decision::No(why)) => Err(AppError::Forbidden(why)),
            Err(fault) => {
                self.log(
                    Level::Error,
                    &format!("authorization cannot be done: {fault}"),
                );
                Err(AppError::Unavailable(
                    "authorization cannot be done: see the manager's log".into(),
                ))
            }
        }
    }

    /// Tells the log of a call that could not be answered.
    pub(crate) fn tell_unanswered(&self, call: &str, why: &str) {
        self.log(Level::Error, &format!("{call}: {why}"));
    }

    /// Tells the log of somebody who is not who they say.
    pub(crate) fn tell_refused(&self, address: &str, why: &str) {
        self.log(Level::Warning, &format!("{address}: {why}"));
    }

    /// Whether the store answers.
    pub async fn is_ready(&self) -> bool {
        self.store().ping().await.is_ok()
    }

    /// Wakes whoever waits for what a change of this transaction may have brought.
    async fn changed(&self, id: &TransactionId) {
        self.inner.wake.transaction(id);
        self.inner.wake.scheduler();
    }
}

/// What a plugin answers, unless it takes too long.
async fn in_time<T>(answer: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let answer = tokio::time::timeout(AUTH_TIME, answer).await;
    answer.unwrap_or_else(|_| Err(format!("no answer within {} s", AUTH_TIME.as_secs())))
}

/// Whether a member of credentials says who somebody is, and proves nothing.
pub(crate) fn is_public(key: &str) -> bool {
    matches!(key, "username" | "realm" | "role")
}

/// What a plugin complains of, without what it was given to prove who somebody is.
fn without_secrets(mut text: String, credentials: &Credentials) -> String {
    for (_, value) in credentials.iter().filter(|(key, _)| !is_public(key)) {
        let value = match value {
            serde_json::Value::String(value) => value.clone(),
            other => other.to_string(),
        };
        if !value.is_empty() {
            text = text.replace(&value, "***");
        }
    }
    text
}

/// A duration in microseconds.
fn micros(duration: Duration) -> Micros {
    Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX)
}

/// A time as a text in UTC.
fn time(at: Micros) -> String {
    jiff::Timestamp::from_microsecond(at).map_or_else(|_| at.to_string(), |t| t.to_string())
}

/// Who a client is, for histories.
fn actor(identity: &Identity, address: &str) -> Actor {
    Actor {
        name: identity.name.clone(),
        address: address.to_owned(),
    }
}
