//! Logs and blobs: what an agent may send and fetch for the job that it has.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use windlass_model::release::machine::Refusal;
use windlass_model::release::{AgentKind, Digest, Epoch, Job, JobId, JobState, TransactionId};
use windlass_store::{BlobReader, FileError};

use super::uploads::Receiving;
use super::{AgentLogin, App, AppError, AppResult};

/// How long an upload waits for another one of the same bytes.
const TURN: Duration = Duration::from_secs(3);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(100);

impl App {
    /// The job, where an agent has it now; an agent may act on nothing else. An installer that was not heard of for a while, so that
    /// its install counts as unknown, has it still.
    async fn held_job(&self, login: &AgentLogin, job: &JobId) -> AppResult<(TransactionId, Job)> {
        let (transaction, job) = self
            .store()
            .job(job)
            .await?
            .ok_or_else(|| AppError::NotFound(format!("there is no job {job}")))?;
        let its_own = job.kind == login.kind && job.agent.as_ref() == Some(&login.name);
        if !its_own || !(job.state.is_held() || job.state == JobState::Unknown) {
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
            self.kept(digest).await?;
            return Ok(None);
        }
        Ok(Some(
            self.inner.blobs.has_partial(digest).await?.unwrap_or(0),
        ))
    }

    /// Bytes of a blob that is here, whole. An upload that ended when it could not be written down any more is written down now:
    /// nobody sends again what is here.
    pub(super) async fn kept(&self, digest: &Digest) -> AppResult<Option<u64>> {
        if let Some(size) = self.store().blob(digest).await? {
            return Ok(Some(size));
        }
        let size = self.inner.blobs.has(digest).await?;
        if let Some(size) = size {
            self.store().add_blob(digest, size).await?;
        }
        Ok(size)
    }

    /// Begins or goes on with an upload. An offset that is not where it stands is a conflict. One of the same bytes that stands still
    /// gives way to it.
    pub async fn upload(&self, digest: &Digest, offset: u64) -> AppResult<Receiving> {
        let end = Instant::now() + TURN;
        let upload = loop {
            match self.inner.blobs.upload(digest).await {
                Err(FileError::Busy(_)) if Instant::now() < end => {
                    self.inner.uploads.want(digest);
                    sleep(LOOK).await;
                }
                upload => break upload?,
            }
        };
        if upload.offset() != offset {
            return Err(AppError::Superseded(format!(
                "the upload stands at byte {}, not {offset}: ask again where it stands",
                upload.offset()
            )));
        }
        Ok(self.inner.uploads.begin(digest, upload))
    }

    /// An upload is whole: it is there, verified, from now on.
    pub async fn uploaded(&self, digest: &Digest, received: Receiving) -> AppResult<()> {
        let size = received.upload.finish().await?;
        Ok(self.store().add_blob(digest, size).await?)
    }

    /// Bytes of a blob.
    pub async fn blob_size(&self, digest: &Digest) -> AppResult<u64> {
        let size = self.inner.blobs.has(digest).await?;
        size.ok_or_else(|| AppError::NotFound(format!("there is no blob {digest}")))
    }

    /// A blob from an offset on.
    pub async fn blob(&self, digest: &Digest, from: u64) -> AppResult<BlobReader> {
        let range = match from {
            0 => None,
            from => Some(from..u64::MAX),
        };
        Ok(self.inner.blobs.open(digest, range).await?)
    }
}
