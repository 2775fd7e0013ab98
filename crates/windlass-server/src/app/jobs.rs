//! Agents begin jobs, end them, and tell what became of those that nobody heard of.

use tokio::time::Instant;
use windlass_model::release::machine::{self, Refusal, Verdict};
use windlass_model::release::{
    AgentName, Epoch, Index, Job, JobId, Micros, TransactionId, Version, Whole,
};
use windlass_model::step::Level;
use windlass_store::ChangeError;
use windlass_wire::agent::{Finish, Outcome};

use super::{AgentLogin, App, AppError, AppResult};

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
    /// The transaction of a job that was given to an agent. A builder and an installer may have the same name.
    pub(super) async fn transaction_of(
        &self,
        login: &AgentLogin,
        job: &JobId,
    ) -> AppResult<TransactionId> {
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
        loop {
            if let Outcome::Built { index } = &mut outcome {
                index.version = self.free_version(index).await?;
            }
            let (id, name, from) = (job.clone(), login.name.clone(), address.to_owned());
            let told = outcome.clone();
            let change = move |whole: &mut Whole, now| {
                report(whole, &id, (&name, &from), epoch, told.clone(), now)
            };
            let refused = match self.advance(&transaction, change).await {
                Err(ChangeError::Refused(Refusal::Illegal(why))) => why,
                advanced => return Ok(advanced.map(drop)?),
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
        }
    }

    /// A job that was leased cannot be done any more: it has failed, for the reason given.
    pub(super) async fn cannot_be_done(
        &self,
        transaction: &TransactionId,
        job: &Job,
        why: String,
    ) -> AppResult<()> {
        let (id, epoch, agent) = (job.id.clone(), job.epoch, job.agent.clone());
        let change = move |whole: &mut Whole, now| {
            let name = agent.as_ref().ok_or(Refusal::Superseded)?;
            machine::failed(whole, &id, (name, ""), epoch, (&why, Vec::new()), now)
        };
        Ok(self.advance(transaction, change).await.map(drop)?)
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
        let targets = match self.targets_of(&whole) {
            Err(AppError::Conflict(why)) => return Ok(failed(why)),
            targets => targets?,
        };
        if let Some(missing) = targets.iter().find(|t| !index.targets.contains_key(*t)) {
            return Ok(failed(format!(
                "the build gave no file for target {missing}"
            )));
        }
        for item in index.targets.values() {
            match self.kept(&item.digest).await? {
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

    /// An agent says what its own journal knows of a job.
    pub async fn probed(
        &self,
        login: &AgentLogin,
        job: &JobId,
        epoch: Epoch,
        verdict: Verdict,
        address: &str,
    ) -> AppResult<()> {
        let transaction = self.transaction_of(login, job).await?;
        let lease = self.lease();
        let is_final = !matches!(verdict, Verdict::Unknown { .. });
        let (id, name, from) = (job.clone(), login.name.clone(), address.to_owned());
        let change = move |whole: &mut Whole, now| {
            let who = (&name, from.as_str());
            machine::probed(whole, &id, who, epoch, verdict.clone(), now, lease)
        };
        let advanced = self.advance(&transaction, change).await;
        match &advanced {
            Ok(_) if is_final => self.forget_asked(job),
            Ok(_) => {
                self.asked().insert(job.clone(), None);
            }
            // The target is another transaction's: it cannot be taken in before that is over.
            Err(_) => {
                let later = Instant::now() + self.settings().lease;
                self.asked().insert(job.clone(), Some(later));
            }
        }
        Ok(advanced.map(drop)?)
    }
}
