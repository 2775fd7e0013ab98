//! What agents do: they ask for work, begin it, end it.

use std::collections::{BTreeSet, HashSet};
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use windlass_model::release::machine::{self, Refusal, Verdict};
use windlass_model::release::{
    Advertisement, AgentKind, AgentName, BuildSpec, Digest, Epoch, Index, InstallSpec, Job, JobId,
    JobSpec, JobState, Micros, Request, TransactionId, Version, Whole,
};
use windlass_model::step::Level;
use windlass_store::{ChangeError, InstalledFilter, Upload};
use windlass_wire::agent::{Finish, Given, Held, LONGEST_WAIT, Outcome, Poll, Polled};

use super::agents::MOST_HELD;
use super::rollback::with_owed;
use super::{AgentLogin, App, AppError, AppResult};

/// Jobs that one poll gives at most.
const JOBS_A_POLL: u32 = 64;
/// An agent's leases are renewed, and work is looked for, so often at least while it waits; more often where leases are short.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// How often a build is tried to be taken when others take its version meanwhile.
const TRIES: u32 = 5;
/// Builds of one version that may differ.
const MOST_BUILDS: u32 = 1000;

/// What an agent reports, done to a transaction.
fn report(
    whole: &mut Whole,
    id: &JobId,
    who: (&AgentName, &str),
    epoch: Epoch,
    outcome: Outcome,
    now: Micros,
) -> machine::Changed {
    match outcome {
        Outcome::Built { index } => machine::built(whole, id, who, epoch, index, now),
        Outcome::Ran => machine::ran(whole, id, who, epoch, now),
        Outcome::Installed { rows } => machine::installed(whole, id, who, epoch, rows, now),
        Outcome::Failed { why, rows } => machine::failed(whole, id, who, epoch, (&why, rows), now),
        Outcome::Unknown { why } => machine::unknown(whole, id, who, epoch, &why, now),
    }
}

impl App {
    /// Renews what an agent holds, and gives it work as soon as there is some; waits for it as long as the poll says.
    pub async fn poll(&self, login: &AgentLogin, poll: Poll, address: &str) -> AppResult<Polled> {
        if poll.held.len() > MOST_HELD {
            return Err(AppError::Malformed(format!(
                "`held` has more than {MOST_HELD} jobs"
            )));
        }
        self.newest(login, &poll).await?;
        self.store().seen(login.kind, &login.name).await?;
        let wait = Duration::from_secs(u64::from(poll.wait_seconds.min(LONGEST_WAIT)));
        let end = Instant::now() + wait;
        let mut stopping = self.inner.stopping.subscribe();
        let mut polled = Polled {
            revoked: self.renew(login, &poll.held).await?,
            ..Polled::default()
        };
        let signal = self.inner.wake.of_agent(login.kind, &login.name);
        loop {
            // Waiting begins before looking, so that nothing that comes between is missed.
            let mut woken = std::pin::pin!(signal.notified());
            woken.as_mut().enable();
            let agent = self.newest(login, &poll).await?;
            polled.probe = self.to_probe(login, &poll.held).await?;
            polled.probe.retain(|job| !self.was_asked(job));
            if poll.free > 0 {
                polled.jobs = self.lease_jobs(login, &agent, poll.free, address).await?;
            }
            let news =
                !polled.jobs.is_empty() || !polled.probe.is_empty() || !polled.revoked.is_empty();
            if news || Instant::now() >= end || *stopping.borrow() {
                return Ok(polled);
            }
            let until = end.min(Instant::now() + LOOK_AGAIN.min(self.settings().lease / 3));
            tokio::select! {
                _ = timeout_at(until, woken) => {}
                _ = stopping.changed() => {}
            }
            if !poll.held.is_empty() {
                polled.revoked = self.renew(login, &poll.held).await?;
            }
        }
    }

    /// The agent, where its newest process is the one that asks.
    async fn newest(
        &self,
        login: &AgentLogin,
        poll: &Poll,
    ) -> AppResult<windlass_store::AgentRecord> {
        let agent = self.store().agent(login.kind, &login.name).await?;
        let agent = agent.ok_or_else(|| AppError::Unauthenticated("register again".into()))?;
        if agent.incarnation != poll.incarnation {
            return Err(AppError::Superseded(format!(
                "another {} of the name {} registered since",
                login.kind.as_str(),
                login.name
            )));
        }
        Ok(agent)
    }

    /// Renews leases; gives the jobs that are not the agent's any more, or not wanted.
    async fn renew(&self, login: &AgentLogin, held: &[Held]) -> AppResult<Vec<JobId>> {
        let lease = self.lease();
        let mut revoked = Vec::new();
        for Held { job, epoch } in held {
            let transaction = match self.transaction_of(login, job).await {
                Ok(transaction) => transaction,
                Err(AppError::Unavailable(why)) => return Err(AppError::Unavailable(why)),
                Err(_) => {
                    revoked.push(job.clone());
                    continue;
                }
            };
            let (id, name, epoch) = (job.clone(), login.name.clone(), *epoch);
            let change = move |whole: &mut Whole, now| {
                let wanted = machine::renew(whole, &id, &name, epoch, now, lease)?;
                Ok((wanted, Vec::new()))
            };
            match self.store().change(&transaction, change).await {
                Ok(true) => {}
                Err(ChangeError::Refused(_)) if self.goes_on(login, job, epoch).await? => {}
                Ok(false) | Err(ChangeError::Refused(_) | ChangeError::NoTransaction) => {
                    revoked.push(job.clone());
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(revoked)
    }

    /// Whether a job that counts as unknown, since nothing was heard of its installer, goes on there after all.
    async fn goes_on(&self, login: &AgentLogin, job: &JobId, epoch: Epoch) -> AppResult<bool> {
        let Some((transaction, found)) = self.store().job(job).await? else {
            return Ok(false);
        };
        if found.state != JobState::Unknown || found.epoch != epoch {
            return Ok(false);
        }
        let lease = self.lease();
        let (id, name) = (job.clone(), login.name.clone());
        let change = move |whole: &mut Whole, now| {
            let verdict = Verdict::Running { epoch };
            let effects = machine::probed(whole, &id, (&name, ""), verdict, now, lease)?;
            Ok(((), effects))
        };
        match self.store().change(&transaction, change).await {
            Ok(()) => {
                self.inner.wake.transaction(&transaction);
                Ok(true)
            }
            // Another install has the target by now, and waits for this one to be settled: let it end.
            Err(ChangeError::Busy { .. }) => Ok(true),
            Err(ChangeError::Refused(_) | ChangeError::NoTransaction) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn asked(&self) -> MutexGuard<'_, HashSet<JobId>> {
        self.inner
            .asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the installer was asked since it registered, and does not know either.
    fn was_asked(&self, job: &JobId) -> bool {
        self.asked().contains(job)
    }

    /// It may be asked again.
    pub(super) fn forget_asked(&self, job: &JobId) {
        self.asked().remove(job);
    }

    /// Jobs of an installer whose outcome is not known here.
    async fn to_probe(&self, login: &AgentLogin, held: &[Held]) -> AppResult<Vec<JobId>> {
        if login.kind != AgentKind::Installer {
            return Ok(Vec::new());
        }
        let jobs = self.store().unknown_of(login.kind, &login.name).await?;
        let probe = jobs
            .into_iter()
            .filter(|(_, job)| !held.iter().any(|h| h.job == job.id));
        Ok(probe.map(|(_, job)| job.id).collect())
    }

    async fn lease_jobs(
        &self,
        login: &AgentLogin,
        agent: &windlass_store::AgentRecord,
        free: u32,
        address: &str,
    ) -> AppResult<Vec<Given>> {
        if agent.state == windlass_store::AgentState::Draining {
            return Ok(Vec::new());
        }
        let projects = match &agent.advertisement {
            Advertisement::Projects(projects) => projects.clone(),
            Advertisement::Environments(_) => BTreeSet::new(),
        };
        let candidates = self
            .store()
            .leasable(login.kind, &login.name, &projects)
            .await?;
        let mut given = Vec::new();
        for (transaction, job) in candidates {
            if given.len() as u32 >= free.min(JOBS_A_POLL) {
                break;
            }
            match self.lease_job(login, &transaction, &job, address).await {
                Ok(Some(job)) => given.push(job),
                Ok(None) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(given)
    }

    /// Leases one job; none when somebody else was quicker.
    async fn lease_job(
        &self,
        login: &AgentLogin,
        transaction: &TransactionId,
        job: &JobId,
        address: &str,
    ) -> AppResult<Option<Given>> {
        let lease = self.lease();
        let (id, login, address) = (job.clone(), login.clone(), address.to_owned());
        let change = move |whole: &mut Whole, now| {
            let who = (login.kind, &login.name, address.as_str());
            let effects = machine::lease(whole, &id, who, now, lease)?;
            Ok((whole.clone(), effects))
        };
        let whole = match self.store().change(transaction, change).await {
            Ok(whole) => whole,
            Err(
                ChangeError::Refused(_) | ChangeError::NoTransaction | ChangeError::Busy { .. },
            ) => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let Some(leased) = whole.job(job).cloned() else {
            return Ok(None);
        };
        let spec = match leased.kind {
            AgentKind::Builder => JobSpec::Build(self.build_spec(&whole)?),
            AgentKind::Installer => JobSpec::Install(self.install_spec(&whole, &leased).await?),
        };
        self.inner.wake.transaction(transaction);
        Ok(Some(Given {
            job: leased.id,
            epoch: leased.epoch,
            spec,
        }))
    }

    fn build_spec(&self, whole: &Whole) -> AppResult<BuildSpec> {
        let transaction = &whole.transaction;
        Ok(BuildSpec {
            transaction: transaction.id.clone(),
            project: transaction.project.clone(),
            targets: self.targets_of(whole)?,
            request: transaction.request.clone(),
            generator: self.generator_of(whole)?,
        })
    }

    /// The generator of an action of a project's own; none for a build.
    fn generator_of(&self, whole: &Whole) -> AppResult<Option<String>> {
        let (project, action) = (&whole.transaction.project, &whole.transaction.action);
        if matches!(action.as_str(), "build" | "install") {
            return Ok(None);
        }
        let settings = self.settings();
        let actions = settings.projects.get(project).map(|known| &known.actions);
        let generator = actions.and_then(|actions| actions.get(action)).cloned();
        let gone =
            || AppError::Conflict(format!("project {project} has no action {action} any more"));
        generator.map(Some).ok_or_else(gone)
    }

    /// The targets that a transaction is about: those of its project, or the components that were asked for.
    fn targets_of(&self, whole: &Whole) -> AppResult<Vec<windlass_model::release::TargetName>> {
        let transaction = &whole.transaction;
        let request = Request::read(&transaction.request).ok();
        if let Some(components) = request.and_then(|r| r.components) {
            return Ok(components);
        }
        let settings = self.settings();
        let project = settings.projects.get(&transaction.project).ok_or_else(|| {
            AppError::Conflict(format!(
                "project {} is not configured any more",
                transaction.project
            ))
        })?;
        Ok(project.targets.clone())
    }

    async fn install_spec(&self, whole: &Whole, job: &Job) -> AppResult<InstallSpec> {
        let gone = |what: &str| AppError::Conflict(format!("{}: {what}", whole.transaction.id));
        let transaction = &whole.transaction;
        let environment = transaction
            .environment
            .clone()
            .ok_or_else(|| gone("no environment"))?;
        let id = transaction
            .release
            .clone()
            .ok_or_else(|| gone("no release"))?;
        let target = job.target.clone().ok_or_else(|| gone("no target"))?;
        let release = self
            .store()
            .release(&id)
            .await?
            .ok_or_else(|| gone("its release is gone"))?;
        let resource = release.index.targets.get(&target).cloned();
        let resource = resource.ok_or_else(|| gone("the release has nothing for this target"))?;
        let filter = InstalledFilter {
            environment: Some(environment.clone()),
            target: Some(target.clone()),
            agent: job.agent.clone(),
            project: None,
        };
        let rows = self.store().installed(&filter).await?;
        let before = rows.into_iter().find(|row| row.release != id);
        Ok(InstallSpec {
            transaction: transaction.id.clone(),
            sequence: transaction.sequence,
            environment,
            target,
            release: id,
            resource,
            previous: before.map(|row| row.release),
            request: transaction.request.clone(),
        })
    }

    /// What an agent that registers had in hand: to go on with, to drop, to probe.
    pub(super) async fn take_up(
        &self,
        login: &AgentLogin,
        held: &[Held],
    ) -> AppResult<(Vec<Held>, Vec<JobId>, Vec<JobId>)> {
        let drop = self.renew(login, held).await?;
        let keep = held
            .iter()
            .filter(|h| !drop.contains(&h.job))
            .cloned()
            .collect();
        let probe = self.to_probe(login, held).await?;
        probe.iter().for_each(|job| self.forget_asked(job));
        Ok((keep, drop, probe))
    }

    /// The transaction of a job that was given to an agent. A builder and an installer may have the same name.
    async fn transaction_of(&self, login: &AgentLogin, job: &JobId) -> AppResult<TransactionId> {
        let found = self.store().job(job).await?;
        let (transaction, job) =
            found.ok_or_else(|| AppError::NotFound(format!("there is no job {job}")))?;
        if job.kind != login.kind || job.agent.as_ref() != Some(&login.name) {
            return Err(AppError::Superseded(Refusal::Superseded.to_string()));
        }
        Ok(transaction)
    }

    /// An agent begins a job. Fenced.
    pub async fn start(
        &self,
        login: &AgentLogin,
        job: &JobId,
        epoch: Epoch,
        address: &str,
    ) -> AppResult<()> {
        let transaction = self.transaction_of(login, job).await?;
        let lease = self.lease();
        let (id, name, from) = (job.clone(), login.name.clone(), address.to_owned());
        let change = move |whole: &mut Whole, now| {
            let effects = machine::start(whole, &id, (&name, &from), epoch, now, lease)?;
            Ok(((), effects))
        };
        self.store().change(&transaction, change).await?;
        self.log(
            Level::Info,
            &format!("{transaction}: job {job} started by {}", login.name),
        );
        self.inner.wake.transaction(&transaction);
        Ok(())
    }

    /// An agent is done with a job.
    pub async fn finish(
        &self,
        login: &AgentLogin,
        job: &JobId,
        finish: Finish,
        address: &str,
    ) -> AppResult<()> {
        let transaction = self.transaction_of(login, job).await?;
        let epoch = finish.epoch;
        let mut outcome = match finish.outcome {
            Outcome::Built { index } => self.checked(&transaction, index).await?,
            other => other,
        };
        let mut tries = 0;
        let whole = loop {
            if let Outcome::Built { index } = &mut outcome {
                index.version = self.free_version(index).await?;
            }
            let (id, name, from) = (job.clone(), login.name.clone(), address.to_owned());
            let (told, settings) = (outcome.clone(), self.settings());
            let change = move |whole: &mut Whole, now| {
                let before = whole.transaction.phase;
                let effects = report(whole, &id, (&name, &from), epoch, told.clone(), now)?;
                let effects = with_owed(&settings, before, whole, effects);
                Ok((whole.clone(), effects))
            };
            let refused = match self.store().change(&transaction, change).await {
                Err(ChangeError::Refused(Refusal::Illegal(why))) => why,
                changed => break changed?,
            };
            tries += 1;
            outcome = match outcome {
                // Another build took the version since.
                Outcome::Built { index } if tries < TRIES => Outcome::Built { index },
                // A build that cannot be taken has failed: it would fail the same way again.
                Outcome::Built { .. } => Outcome::Failed {
                    why: refused,
                    rows: Vec::new(),
                },
                _ => return Err(AppError::Conflict(refused)),
            };
        };
        self.told(&whole);
        self.wake_agents_of(&whole);
        self.changed(&transaction).await;
        self.roll_back_if_owed(&whole.transaction).await;
        Ok(())
    }

    /// The version of an index, where no other build has it; else with a number: `1.4.0+2`. A release is never changed.
    async fn free_version(&self, index: &Index) -> AppResult<Version> {
        let plain = index.version.as_str();
        let plain = plain.split_once('+').map_or(plain, |(plain, _)| plain);
        for number in 1..=MOST_BUILDS {
            let version = match number {
                1 => index.version.clone(),
                number => format!("{plain}+{number}")
                    .parse()
                    .map_err(AppError::Conflict)?,
            };
            let mut numbered = index.clone();
            numbered.version = version;
            match self.store().release(&numbered.release()).await? {
                Some(release) if release.index != numbered => {}
                _ => return Ok(numbered.version),
            }
        }
        let release = index.release();
        Err(AppError::Conflict(format!(
            "{release} was built {MOST_BUILDS} times: give it another version"
        )))
    }

    /// Whether an index has everything that was asked for; a build whose index has not has failed.
    async fn checked(&self, transaction: &TransactionId, index: Index) -> AppResult<Outcome> {
        let whole = self.store().whole(transaction).await?;
        let whole = whole
            .ok_or_else(|| AppError::NotFound(format!("there is no transaction {transaction}")))?;
        let failed = |why: String| Outcome::Failed {
            why,
            rows: Vec::new(),
        };
        let targets = self.targets_of(&whole)?;
        if let Some(missing) = targets.iter().find(|t| !index.targets.contains_key(*t)) {
            return Ok(failed(format!(
                "the build gave no file for target {missing}"
            )));
        }
        for item in index.targets.values() {
            match self.inner.blobs.has(&item.digest).await? {
                None => {
                    return Ok(failed(format!(
                        "the blob of {} was not uploaded",
                        item.name
                    )));
                }
                Some(size) if size != item.size => {
                    return Ok(failed(format!(
                        "the blob of {} has {size} bytes, not {}",
                        item.name, item.size
                    )));
                }
                Some(_) => {}
            }
        }
        Ok(Outcome::Built { index })
    }

    /// Logs where a transaction has come to.
    pub(super) fn told(&self, whole: &Whole) {
        let transaction = &whole.transaction;
        let why = transaction
            .why
            .as_ref()
            .map_or_else(String::new, |why| format!(": {why}"));
        let level = match transaction.phase.is_over() && !why.is_empty() {
            true => Level::Warning,
            false => Level::Info,
        };
        let status = transaction.status().as_str();
        self.log(level, &format!("{}: {status}{why}", transaction.id));
    }

    /// An agent says what its own journal knows of a job.
    pub async fn probed(
        &self,
        login: &AgentLogin,
        job: &JobId,
        verdict: Verdict,
        address: &str,
    ) -> AppResult<()> {
        let transaction = self.transaction_of(login, job).await?;
        let lease = self.lease();
        match verdict {
            Verdict::Unknown { .. } => self.asked().insert(job.clone()),
            _ => self.asked().remove(job),
        };
        let (id, name, from) = (job.clone(), login.name.clone(), address.to_owned());
        let settings = self.settings();
        let change = move |whole: &mut Whole, now| {
            let before = whole.transaction.phase;
            let effects = machine::probed(whole, &id, (&name, &from), verdict.clone(), now, lease)?;
            let effects = with_owed(&settings, before, whole, effects);
            Ok((whole.clone(), effects))
        };
        let whole = self.store().change(&transaction, change).await?;
        self.told(&whole);
        self.wake_agents_of(&whole);
        self.changed(&transaction).await;
        self.roll_back_if_owed(&whole.transaction).await;
        Ok(())
    }

    /// The job, where an agent has it now; an agent may act on nothing else.
    async fn held_job(&self, login: &AgentLogin, job: &JobId) -> AppResult<(TransactionId, Job)> {
        let (transaction, job) = self
            .store()
            .job(job)
            .await?
            .ok_or_else(|| AppError::NotFound(format!("there is no job {job}")))?;
        let its_own = job.kind == login.kind && job.agent.as_ref() == Some(&login.name);
        if !its_own || !job.state.is_held() {
            return Err(AppError::Superseded(Refusal::Superseded.to_string()));
        }
        Ok((transaction, job))
    }

    /// Takes bytes of a job's log that stand at `offset` in it; gives how many bytes there are then.
    pub async fn append_log(
        &self,
        login: &AgentLogin,
        job: &JobId,
        epoch: Epoch,
        offset: u64,
        bytes: Vec<u8>,
    ) -> AppResult<u64> {
        let (transaction, held) = self.held_job(login, job).await?;
        if held.epoch != epoch {
            return Err(AppError::Superseded(Refusal::Superseded.to_string()));
        }
        let appended = self.inner.logs.append(job, epoch, offset, bytes).await?;
        self.inner.wake.transaction(&transaction);
        // What a full log does not take counts as taken: there is no use in sending it again.
        Ok(if appended.is_full {
            u64::MAX
        } else {
            appended.have
        })
    }

    /// Whether an agent may see a blob: its job is about it. A builder may only ask whether it is there.
    pub async fn may_see_blob(
        &self,
        login: &AgentLogin,
        job: &JobId,
        digest: &Digest,
        to_read: bool,
    ) -> AppResult<()> {
        let (transaction, job) = self.held_job(login, job).await?;
        if job.kind == AgentKind::Builder {
            return match to_read {
                false => Ok(()),
                true => Err(AppError::Forbidden("a builder fetches nothing".into())),
            };
        }
        let transaction = self.known(&transaction).await?;
        let release = match &transaction.release {
            Some(id) => self.store().release(id).await?,
            None => None,
        };
        let item = release.and_then(|r| job.target.and_then(|t| r.index.targets.get(&t).cloned()));
        match item {
            Some(item) if item.digest == *digest => Ok(()),
            _ => Err(AppError::Forbidden("the job is not about this blob".into())),
        }
    }

    /// Whether an agent may upload: it builds.
    pub async fn may_put_blob(&self, login: &AgentLogin, job: &JobId) -> AppResult<()> {
        let (_, job) = self.held_job(login, job).await?;
        match job.kind {
            AgentKind::Builder => Ok(()),
            AgentKind::Installer => Err(AppError::Forbidden("an installer uploads nothing".into())),
        }
    }

    /// How much of a blob there is; none: all of it.
    pub async fn blob_offset(&self, digest: &Digest) -> AppResult<Option<u64>> {
        if self.inner.blobs.has(digest).await?.is_some() {
            return Ok(None);
        }
        Ok(Some(
            self.inner.blobs.has_partial(digest).await?.unwrap_or(0),
        ))
    }

    /// Begins or goes on with an upload. An offset that is not where it stands is a conflict.
    pub async fn upload(&self, digest: &Digest, offset: u64) -> AppResult<Upload> {
        let upload = self.inner.blobs.upload(digest).await?;
        if upload.offset() != offset {
            return Err(AppError::Superseded(format!(
                "the upload stands at byte {}, not {offset}: ask again where it stands",
                upload.offset()
            )));
        }
        Ok(upload)
    }

    /// An upload is whole: it is there, verified, from now on.
    pub async fn uploaded(&self, digest: &Digest, upload: Upload) -> AppResult<()> {
        let size = upload.finish().await?;
        Ok(self.store().add_blob(digest, size).await?)
    }

    /// Bytes of a blob.
    pub async fn blob_size(&self, digest: &Digest) -> AppResult<u64> {
        let size = self.inner.blobs.has(digest).await?;
        size.ok_or_else(|| AppError::NotFound(format!("there is no blob {digest}")))
    }

    /// A blob from an offset on.
    pub async fn blob(&self, digest: &Digest, from: u64) -> AppResult<windlass_store::BlobReader> {
        let range = match from {
            0 => None,
            from => Some(from..u64::MAX),
        };
        Ok(self.inner.blobs.open(digest, range).await?)
    }
}
