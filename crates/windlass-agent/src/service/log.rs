//! Sends what a job prints to the manager while it runs.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::watch;
use windlass_model::release::{Epoch, JobId};
use windlass_wire::agent::AgentClient;
use windlass_wire::connection::WireError;

/// How often it is looked for more.
const EVERY: Duration = Duration::from_millis(300);
/// Bytes sent at once.
const PART: u64 = 256 << 10;
/// How long the rest of a log may take once the job has ended.
const REST: Duration = Duration::from_secs(20);

/// Sends the file's growth until `ended`, then its rest. What cannot be sent is sent later; a log that never goes through is no
/// failure of the job.
pub(super) async fn follow(
    client: AgentClient,
    (job, epoch): (JobId, Epoch),
    path: &Path,
    mut ended: watch::Receiver<bool>,
) {
    let mut sent = 0;
    while !*ended.borrow() {
        // A part that is on its way when the job ends is sent again: what the manager has of it stays there once.
        tokio::select! {
            _ = send(&client, &job, epoch, path, &mut sent) => {}
            _ = ended.wait_for(|ended| *ended) => break,
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = ended.wait_for(|ended| *ended) => {}
        }
    }
    let rest = async {
        while let Err(error) = send(&client, &job, epoch, path, &mut sent).await {
            if !error.is_passing() {
                return;
            }
            tokio::time::sleep(EVERY).await;
        }
    };
    let _ = tokio::time::timeout(REST, rest).await;
}

/// Sends what there is more; what cannot be read here is not sent.
async fn send(
    client: &AgentClient,
    job: &JobId,
    epoch: Epoch,
    path: &Path,
    sent: &mut u64,
) -> Result<(), WireError> {
    while let Ok(part) = read(path, *sent).await {
        if part.is_empty() {
            break;
        }
        let has = client.log(job, epoch, *sent, Bytes::from(part)).await?;
        *sent = has.length;
    }
    Ok(())
}

async fn read(path: &Path, from: u64) -> std::io::Result<Vec<u8>> {
    let mut file = tokio::fs::File::open(path).await?;
    let length = file.metadata().await?.len();
    if length <= from {
        return Ok(Vec::new());
    }
    file.seek(std::io::SeekFrom::Start(from)).await?;
    let mut part = Vec::new();
    file.take(PART).read_to_end(&mut part).await?;
    Ok(part)
}
