//! An archive goes to the manager: verified first, then what it lacks, then the index.

use std::path::Path;
use std::time::Duration;

use windlass_model::release::{Item, TargetName};
use windlass_wire::connection::WireError;
use windlass_wire::rest::{Client, ReleaseView};

use crate::client::archive::Archive;
use crate::client::ending;
use crate::ending::Ending;
use crate::output::say;

/// How often an upload that was cut off is carried on.
const TRIES: u32 = 5;
/// How long it is left alone then.
const PAUSE: Duration = Duration::from_secs(1);

/// May be done again: what is there already is not sent.
pub(super) async fn import(
    client: &Client,
    file: &Path,
    is_quiet: bool,
) -> Result<ReleaseView, Ending> {
    let archive = Archive::open(file)?;
    for (target, item) in &archive.index.targets {
        let sent = upload(client, &archive, target, item)
            .await
            .map_err(ending)?;
        if !is_quiet {
            let what = if sent { "sent" } else { "is there already" };
            say(&format!(
                "{target}/{}: {} bytes: {what}\n",
                item.name, item.size
            ));
        }
    }
    client.import(&archive.index).await.map_err(ending)
}

/// Gives whether anything had to be sent.
async fn upload(
    client: &Client,
    archive: &Archive,
    target: &TargetName,
    item: &Item,
) -> Result<bool, WireError> {
    let mut tries = 0;
    loop {
        let error = match rest_of(client, archive, target, item).await {
            Ok(sent) => return Ok(sent || tries > 0),
            Err(error) => error,
        };
        // Where the upload stands has changed: somebody else sends the same.
        let may_go_on = error.is_passing() || matches!(error, WireError::Superseded(_));
        if !may_go_on || tries == TRIES {
            return Err(error);
        }
        tries += 1;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn rest_of(
    client: &Client,
    archive: &Archive,
    target: &TargetName,
    item: &Item,
) -> Result<bool, WireError> {
    let Some(offset) = client.blob_offset(&item.digest).await? else {
        return Ok(false);
    };
    let chunks = archive.chunks(target, item, offset);
    let length = item.size.saturating_sub(offset);
    client
        .put_blob(&item.digest, offset, length, chunks)
        .await?;
    Ok(true)
}
