//! An agent as a service: it registers with its managers, asks them for work, does it, and says what came of it.
//!
//! One loop a manager; they share the agent's slots. Every call to a manager may be lost: it is made again until it is
//! answered, and the manager answers a repeated one the same way. A manager that is down is waited for.

mod credential;
mod errand;
mod log;
mod manager;
mod remote;
mod starts;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use windlass_engine::interrupt::Interrupt;
use windlass_model::release::machine::Verdict;
use windlass_model::release::{
    Advertisement, AgentName, BuildSpec, Epoch, Index, InstallSpec, InstalledRow, JobId, TargetName,
};
use windlass_model::step::Level;
use windlass_wire::agent::{Finish, Poll, Polled, Register, Registered};
use windlass_wire::connection::WireError;

pub use remote::Remote;

/// Takes lines for the log: level, message.
pub type Log = Arc<dyn Fn(Level, &str) + Send + Sync>;

/// A build that succeeded.
pub struct BuiltFiles {
    /// Its table of contents.
    pub index: Index,
    /// The resource of each target.
    pub files: std::collections::BTreeMap<TargetName, PathBuf>,
    /// Kept until the files are uploaded.
    pub keep: Box<dyn Send + Sync>,
}

/// How an install ended.
#[derive(Clone, Debug, PartialEq)]
pub enum InstallEnd {
    /// What is where now.
    Installed(Vec<InstalledRow>),
    /// Why it failed, and what it left where all the same.
    Failed(String, Vec<InstalledRow>),
    /// What to look at.
    Unknown(String),
}

/// Where a job's work goes on.
pub struct Work<'a> {
    /// The cluster of the manager that it is for.
    pub cluster: &'a str,
    /// Its id.
    pub job: &'a JobId,
    /// Its lease.
    pub epoch: Epoch,
    /// What it prints is appended to this file.
    pub log: &'a Path,
    /// It is not wanted any more.
    pub interrupt: Interrupt,
}

/// What an agent can do. Jobs run concurrently, as many as it has slots; dropping the future of one must end its work.
#[async_trait]
pub trait Worker: Send + Sync {
    /// Builds. An error is why it failed.
    async fn build(&self, spec: &BuildSpec, work: Work<'_>) -> Result<BuiltFiles, String>;
    /// Runs a generator's tasklist on the source, for an action of the project's own. An error is why it failed.
    async fn act(&self, spec: &BuildSpec, generator: &str, work: Work<'_>) -> Result<(), String>;
    /// Installs a resource, whose digest was verified. Must refuse what its own fence says is old.
    async fn install(&self, spec: &InstallSpec, resource: &Path, work: Work<'_>) -> InstallEnd;
    /// What its own journal knows of a job that it does not have in hand.
    async fn probe(&self, job: &JobId) -> Verdict;
}

/// A resource that was fetched.
pub struct Fetched {
    /// Where it is.
    pub path: PathBuf,
    /// Kept until it is installed.
    pub keep: Box<dyn Send + Sync>,
}

/// What an agent asks of a manager; [`Remote`] asks over HTTP. Any call may be repeated: the answer is the same.
#[async_trait]
pub trait Manager: Send + Sync {
    /// What it is called.
    fn url(&self) -> &str;
    /// The same, which is shown another credential.
    fn with_credential(&self, credential: Option<String>) -> Arc<dyn Manager>;
    /// The same, whose calls are given up in time to be made again before a lease is over.
    fn with_lease(&self, lease: Duration) -> Arc<dyn Manager>;
    /// Registers.
    async fn register(&self, register: &Register) -> Result<Registered, WireError>;
    /// Asks for work, and renews what is held. Waits as long as it says.
    async fn poll(&self, poll: &Poll) -> Result<Polled, WireError>;
    /// Says that a job begins. Only an answer gives the right to.
    async fn start(&self, job: &JobId, epoch: Epoch) -> Result<(), WireError>;
    /// Says what came of a job.
    async fn finish(&self, job: &JobId, finish: &Finish) -> Result<(), WireError>;
    /// Says what the journal here knows of a job, under the lease that it was asked about.
    async fn probed(&self, job: &JobId, epoch: Epoch, verdict: Verdict) -> Result<(), WireError>;
    /// Uploads what was built; tries again as long as it is wanted.
    async fn upload(
        &self,
        job: &JobId,
        built: &BuiltFiles,
        wanted: &Interrupt,
    ) -> Result<(), WireError>;
    /// Fetches what a job installs into a directory of its own, and verifies it; tries again as long as it is
    /// wanted.
    async fn fetch(
        &self,
        job: &JobId,
        spec: &InstallSpec,
        directory: &Path,
        wanted: &Interrupt,
    ) -> Result<Fetched, String>;
    /// Sends what a job prints into a file until it ended, and removes the file.
    async fn follow(&self, job: (JobId, Epoch), path: &Path, ended: watch::Receiver<bool>);
}

/// What an agent is made of.
pub struct Agent {
    /// Unique among agents of its kind.
    pub name: AgentName,
    /// What it advertises.
    pub advertisement: Advertisement,
    /// Jobs at once, 1 or more.
    pub slots: u32,
    /// Its managers.
    pub managers: Vec<Arc<dyn Manager>>,
    /// A one-time token, for managers that want one.
    pub token: Option<String>,
    /// What it keeps for itself: credentials, resources that are fetched, logs. Private to its user.
    pub directory: PathBuf,
    /// What it can do.
    pub worker: Arc<dyn Worker>,
    /// Takes lines for the log.
    pub log: Log,
}

/// What the loops of an agent share.
struct Shared {
    agent: Agent,
    incarnation: String,
    slots: Arc<Semaphore>,
    /// Changes whenever a slot comes free.
    freed: watch::Sender<u64>,
    /// Whether it is told to stop.
    stopping: AtomicBool,
}

impl Agent {
    /// Serves until `stop` becomes true; then no more work is taken, what runs is stopped, and it ends.
    pub async fn serve(self, stop: watch::Receiver<bool>) -> Result<(), String> {
        for folder in ["resources", "logs", "managers"] {
            let path = self.directory.join(folder);
            credential::private_folder(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        }
        let kept = self.directory.join("managers");
        let incarnation = starts::begin(&kept).map_err(|e| format!("{}: {e}", kept.display()))?;
        (self.log)(
            Level::Info,
            &format!(
                "{} {}: {}",
                self.advertisement.kind().as_str(),
                self.name,
                self.advertisement
            ),
        );
        let slots = Arc::new(Semaphore::new(self.slots.max(1) as usize));
        let shared = Arc::new(Shared {
            incarnation,
            slots,
            freed: watch::Sender::new(0),
            stopping: AtomicBool::new(false),
            agent: self,
        });
        let mut loops = JoinSet::new();
        for manager in shared.agent.managers.clone() {
            loops.spawn(manager::serve(shared.clone(), manager, stop.clone()));
        }
        while loops.join_next().await.is_some() {}
        Ok(())
    }
}

impl Shared {
    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    fn log(&self, level: Level, message: &str) {
        (self.agent.log)(level, message);
    }
}
