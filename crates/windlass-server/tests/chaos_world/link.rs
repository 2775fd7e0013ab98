//! The net between an agent and the manager: calls of the real agent's loop become calls of the real manager's use cases, and are
//! lost, late, or there twice.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{AbortHandle, BoxFuture, abortable};
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};
use windlass_agent::service::{BuiltFiles, Fetched, Manager};
use windlass_engine::interrupt::Interrupt;
use windlass_model::release::machine::Verdict;
use windlass_model::release::{Epoch, InstallSpec, JobId};
use windlass_server::app::{AgentLogin, App, AppError, AppResult};
use windlass_wire::agent::{Finish, Poll, Polled, Register, Registered};
use windlass_wire::connection::WireError;

use crate::flaws::Flaw;
use crate::world::World;

/// How long a caller waits for an answer at most, as `windlass_wire::agent` does.
pub(crate) const ANSWER: Duration = Duration::from_secs(30);
/// How soon a caller notices that nobody is there.
const NOTICED: Duration = Duration::from_millis(300);

/// What an agent has of the net.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) world: World,
    pub(crate) agent: usize,
    pub(crate) process: u64,
    pub(crate) credential: Option<String>,
    /// How long a caller waits for an answer.
    pub(crate) answer: Duration,
}

/// A call, as the manager does it; it may have to do it twice.
pub(crate) type Do<T> = Arc<dyn Fn(App) -> BoxFuture<'static, AppResult<T>> + Send + Sync>;

/// As HTTP says it.
fn heard(error: AppError) -> WireError {
    let text = error.to_string();
    match error {
        AppError::Unauthenticated(_) | AppError::Forbidden(_) => WireError::Denied(text),
        AppError::NotFound(_) => WireError::NotFound(text),
        AppError::Superseded(_) => WireError::Superseded(text),
        AppError::Unavailable(_) => WireError::Unavailable(text),
        AppError::Malformed(_) | AppError::TooLong(_) | AppError::Conflict(_) => {
            WireError::Refused(text)
        }
    }
}

/// Ends the handling of a call when the caller goes away, where the net has it so.
struct Handling(AbortHandle, bool);

impl Drop for Handling {
    fn drop(&mut self) {
        if self.1 {
            self.0.abort();
        }
    }
}

impl World {
    /// Calls the manager for somebody, who waits that long for an answer.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        party: usize,
        patience: Duration,
        call: Do<T>,
    ) -> Result<T, WireError> {
        let fate = self.fate_of_call(party);
        let lost = || WireError::Link("the link was lost".into());
        sleep(fate.there).await;
        if fate.request_lost {
            sleep(NOTICED).await;
            return Err(lost());
        }
        if let Some(later) = fate.again {
            let (world, call) = (self.clone(), call.clone());
            tokio::spawn(async move {
                sleep(later).await;
                if let Some(app) = world.app() {
                    world.in_manager(async move { drop(call(app).await) });
                }
            });
        }
        let Some(app) = self.app() else {
            sleep(NOTICED).await;
            return Err(WireError::Link("nobody listens".into()));
        };
        let (answer, answered) = oneshot::channel();
        let handling = async move {
            let _ = answer.send(call(app).await);
        };
        let (handled, abort) = abortable(handling);
        self.in_manager(async move {
            let _ = handled.await;
        });
        let handling = Handling(abort, fate.dropped);
        let answer = timeout(patience, answered).await;
        drop(handling);
        let answer = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => return Err(lost()),
            Err(_) => return Err(WireError::Link("no answer in time".into())),
        };
        if fate.answer_lost {
            sleep(NOTICED).await;
            return Err(lost());
        }
        sleep(fate.back).await;
        answer.map_err(heard)
    }
}

impl Link {
    /// Calls the manager as the agent that this is. `wait`: how much longer than usual it may take.
    async fn call<T, F>(&self, wait: Duration, call: F) -> Result<T, WireError>
    where
        T: Send + 'static,
        F: Fn(App, AgentLogin) -> BoxFuture<'static, AppResult<T>> + Send + Sync + Clone + 'static,
    {
        if !self.world.is_alive(self.process) {
            return std::future::pending().await;
        }
        self.world.called(self.agent);
        let credential = self.credential.clone().unwrap_or_default();
        let call: Do<T> = Arc::new(move |app: App| {
            let (credential, call) = (credential.clone(), call.clone());
            Box::pin(async move {
                let login = app.agent_of(&credential).await?;
                call(app, login).await
            })
        });
        let answer = self.world.call(self.agent, self.answer + wait, call).await;
        if !self.world.is_alive(self.process) {
            return std::future::pending().await;
        }
        answer
    }

    /// Tries as often as `windlass_agent::service::Remote` does.
    async fn bytes<F>(&self, wanted: &Interrupt, call: F) -> Result<(), WireError>
    where
        F: Fn(App, AgentLogin) -> BoxFuture<'static, AppResult<()>> + Send + Sync + Clone + 'static,
    {
        let mut tries = 0;
        loop {
            match self.call(Duration::ZERO, call.clone()).await {
                Err(error) if error.is_passing() && tries < 20 && wanted.times() == 0 => {
                    tries += 1;
                    sleep(Duration::from_secs(1)).await;
                }
                done => return done,
            }
        }
    }

    fn name(&self) -> &str {
        &self.world.0.plan.agents[self.agent].name
    }
}

#[async_trait]
impl Manager for Link {
    fn url(&self) -> &str {
        "world://manager"
    }

    fn with_credential(&self, credential: Option<String>) -> Arc<dyn Manager> {
        // As a connection has it: none leaves the one that it has.
        let credential = credential.or_else(|| self.credential.clone());
        Arc::new(Self {
            credential,
            ..self.clone()
        })
    }

    fn with_lease(&self, lease: Duration) -> Arc<dyn Manager> {
        Arc::new(Self {
            answer: ANSWER.min(lease / 2),
            ..self.clone()
        })
    }

    async fn register(&self, register: &Register) -> Result<Registered, WireError> {
        if !self.world.is_alive(self.process) {
            return std::future::pending().await;
        }
        self.world.called(self.agent);
        let (register, credential) = (register.clone(), self.credential.clone());
        let call: Do<Registered> = Arc::new(move |app: App| {
            let (register, credential) = (register.clone(), credential.clone());
            Box::pin(async move {
                app.register(register, credential.as_deref(), "local", true)
                    .await
            })
        });
        let mut registered = self.world.call(self.agent, self.answer, call).await?;
        let drift = self.world.0.plan.agents[self.agent].drift;
        registered.lease_seconds = (registered.lease_seconds * drift as u32 / 100).max(1);
        self.world
            .tell(|| format!("{} {} is registered", self.name(), self.process));
        Ok(registered)
    }

    async fn poll(&self, poll: &Poll) -> Result<Polled, WireError> {
        let wait = Duration::from_secs(u64::from(poll.wait_seconds));
        let poll = poll.clone();
        let call = move |app: App, login: AgentLogin| -> BoxFuture<'static, AppResult<Polled>> {
            let poll = poll.clone();
            Box::pin(async move { app.poll(&login, poll, "local").await })
        };
        let polled = self.call(wait, call).await?;
        if polled != Polled::default() {
            self.world.tell(|| {
                let jobs = polled
                    .jobs
                    .iter()
                    .map(|given| format!("{} {}", given.job, given.epoch));
                let jobs: Vec<String> = jobs.collect();
                let (revoked, probe) = (&polled.revoked, &polled.probe);
                format!(
                    "{} is given {jobs:?}, is to stop {revoked:?}, to look for {probe:?}",
                    self.name()
                )
            });
        }
        Ok(polled)
    }

    async fn start(&self, job: &JobId, epoch: Epoch) -> Result<(), WireError> {
        let of = job.clone();
        let call = move |app: App, login: AgentLogin| -> BoxFuture<'static, AppResult<()>> {
            let job = of.clone();
            Box::pin(async move { app.start(&login, &job, epoch, "local").await })
        };
        let answer = self.call(Duration::ZERO, call).await;
        self.world
            .tell(|| format!("{} may begin {job} {epoch}: {answer:?}", self.name()));
        if answer.is_err() && self.world.0.plan.flaw == Some(Flaw::BeginsUnasked) {
            return Ok(());
        }
        if answer.is_ok() {
            self.world.data(|data, _| data.laws.allowed(job, epoch));
            self.world
                .state()
                .in_hand
                .insert((job.clone(), self.process));
        }
        answer
    }

    async fn finish(&self, job: &JobId, finish: &Finish) -> Result<(), WireError> {
        let (of, end) = (job.clone(), finish.clone());
        let call = move |app: App, login: AgentLogin| -> BoxFuture<'static, AppResult<()>> {
            let (job, finish) = (of.clone(), end.clone());
            Box::pin(async move { app.finish(&login, &job, finish, "local").await })
        };
        let answer = self.call(Duration::ZERO, call).await;
        self.world.tell(|| {
            let end = format!("{:?}", finish.outcome);
            let end: String = end.chars().take(60).collect();
            format!(
                "{} tells the end of {job} {}: {end}: {answer:?}",
                self.name(),
                finish.epoch
            )
        });
        if answer.is_ok() {
            self.world.data(|data, _| {
                let found = data.job(job).map(|(_, job)| (job.state, job.epoch));
                let kept =
                    found.is_some_and(|(state, epoch)| !state.is_held() || epoch > finish.epoch);
                data.laws
                    .acknowledged(kept, || format!("the end of {job}: it is {found:?}"));
            });
        }
        if !matches!(&answer, Err(error) if error.is_passing()) {
            self.world
                .state()
                .in_hand
                .remove(&(job.clone(), self.process));
        }
        answer
    }

    async fn probed(&self, job: &JobId, epoch: Epoch, verdict: Verdict) -> Result<(), WireError> {
        let (of, said) = (job.clone(), verdict.clone());
        let call = move |app: App, login: AgentLogin| -> BoxFuture<'static, AppResult<()>> {
            let (job, verdict) = (of.clone(), said.clone());
            Box::pin(async move { app.probed(&login, &job, epoch, verdict, "local").await })
        };
        let answer = self.call(Duration::ZERO, call).await;
        self.world
            .tell(|| format!("{} knows of {job}: {verdict:?}: {answer:?}", self.name()));
        answer
    }

    async fn upload(
        &self,
        job: &JobId,
        built: &BuiltFiles,
        wanted: &Interrupt,
    ) -> Result<(), WireError> {
        for item in built.index.targets.values() {
            let (of, item, world) = (job.clone(), item.clone(), self.world.clone());
            let call = move |app: App, login: AgentLogin| -> BoxFuture<'static, AppResult<()>> {
                let (job, item, world) = (of.clone(), item.clone(), world.clone());
                Box::pin(async move {
                    app.may_put_blob(&login, &job).await?;
                    world.data(|data, _| data.blobs.insert(item.digest.clone(), item.size));
                    Ok(())
                })
            };
            self.bytes(wanted, call).await?;
        }
        Ok(())
    }

    async fn fetch(
        &self,
        job: &JobId,
        spec: &InstallSpec,
        directory: &Path,
        wanted: &Interrupt,
    ) -> Result<Fetched, String> {
        let (of, digest) = (job.clone(), spec.resource.digest.clone());
        let call = move |app: App, login: AgentLogin| -> BoxFuture<'static, AppResult<()>> {
            let (job, digest) = (of.clone(), digest.clone());
            Box::pin(async move { app.may_see_blob(&login, &job, &digest, true).await })
        };
        self.bytes(wanted, call).await.map_err(|e| e.to_string())?;
        Ok(Fetched {
            path: directory.join(&spec.resource.name),
            keep: Box::new(()),
        })
    }

    async fn follow(&self, _: (JobId, Epoch), _: &Path, mut ended: watch::Receiver<bool>) {
        let _ = ended.wait_for(|ended| *ended).await;
    }
}
