//! A manager that is reached over HTTP.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::sleep;
use windlass_engine::interrupt::Interrupt;
use windlass_model::release::machine::Verdict;
use windlass_model::release::{Epoch, InstallSpec, JobId};
use windlass_wire::agent::{AgentClient, Finish, Poll, Polled, Register, Registered};
use windlass_wire::connection::{Connection, WireError};

use super::{BuiltFiles, Fetched, Manager, log};

/// Pause between two tries of a call.
const PAUSE: Duration = Duration::from_secs(1);
/// How often a manager that cannot take or give bytes is asked again.
const TRIES: u32 = 20;

/// Speaks the agents' protocol with a manager.
pub struct Remote {
    url: String,
    client: AgentClient,
}

impl Remote {
    /// Over a connection.
    pub fn new(connection: Connection) -> Self {
        Self {
            url: connection.url().to_owned(),
            client: AgentClient::new(connection),
        }
    }
}

/// Whether a call about bytes is made again after an error, when it was made so often before. A link that is cut is waited for as
/// long as the job is wanted; anything else is not.
fn is_made_again(wanted: &Interrupt, error: &WireError, tries: &mut u32) -> bool {
    if !matches!(error, WireError::Link(_)) {
        *tries += 1;
    }
    *tries <= TRIES && wanted.times() == 0
}

#[async_trait]
impl Manager for Remote {
    fn url(&self) -> &str {
        &self.url
    }

    fn with_credential(&self, credential: Option<String>) -> Arc<dyn Manager> {
        Arc::new(Self {
            url: self.url.clone(),
            client: self.client.with_credential(credential),
        })
    }

    fn with_lease(&self, lease: Duration) -> Arc<dyn Manager> {
        Arc::new(Self {
            url: self.url.clone(),
            client: self.client.with_lease(lease),
        })
    }

    async fn register(&self, register: &Register) -> Result<Registered, WireError> {
        self.client.register(register).await
    }

    async fn poll(&self, poll: &Poll) -> Result<Polled, WireError> {
        self.client.poll(poll).await
    }

    async fn start(&self, job: &JobId, epoch: Epoch) -> Result<(), WireError> {
        self.client.start(job, epoch).await
    }

    async fn finish(&self, job: &JobId, finish: &Finish) -> Result<(), WireError> {
        self.client.finish(job, finish).await
    }

    async fn probed(&self, job: &JobId, epoch: Epoch, verdict: Verdict) -> Result<(), WireError> {
        self.client.probed(job, epoch, verdict).await
    }

    async fn upload(
        &self,
        job: &JobId,
        built: &BuiltFiles,
        wanted: &Interrupt,
    ) -> Result<(), WireError> {
        for (target, path) in &built.files {
            let Some(item) = built.index.targets.get(target) else {
                continue;
            };
            let mut tries = 0;
            loop {
                let put = self.client.put_blob(job, &item.digest, path, item.size);
                match put.await {
                    Ok(()) => break,
                    // A conflict about where the upload stands is settled by asking again.
                    Err(error)
                        if (error.is_passing() || matches!(error, WireError::Superseded(_)))
                            && is_made_again(wanted, &error, &mut tries) =>
                    {
                        sleep(PAUSE).await
                    }
                    Err(error) => return Err(error),
                }
            }
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
        let name = Path::new(&spec.resource.name);
        let plain = name.file_name().is_some_and(|file| Path::new(file) == name);
        if !plain {
            return Err(format!("{:?} is no name of a file", spec.resource.name));
        }
        let path = directory.join(name);
        let here = |e: std::io::Error| format!("{}: {e}", path.display());
        match tokio::fs::remove_dir_all(directory).await {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(here(e)),
            _ => {}
        }
        tokio::fs::create_dir_all(directory).await.map_err(here)?;
        let keep = Directory(directory.to_owned());
        let mut tries = 0;
        let found = loop {
            let got = self.client.get_blob(job, &spec.resource.digest, &path);
            match got.await {
                Ok(found) => break found,
                Err(error) if error.is_passing() && is_made_again(wanted, &error, &mut tries) => {
                    sleep(PAUSE).await
                }
                Err(error) => return Err(error.to_string()),
            }
        };
        if found != spec.resource.digest {
            return Err(format!(
                "{} has SHA-256 {found}, not {}",
                spec.resource.name, spec.resource.digest
            ));
        }
        Ok(Fetched {
            path,
            keep: Box::new(keep),
        })
    }

    async fn follow(&self, job: (JobId, Epoch), path: &Path, ended: watch::Receiver<bool>) {
        log::follow(self.client.clone(), job, path, ended).await;
        let _ = tokio::fs::remove_file(path).await;
    }
}

/// Removed when it is of no use any more.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
