//! A release goes into an archive, each resource verified on its way.

use std::path::Path;

use windlass_model::release::ReleaseId;
use windlass_wire::rest::{Client, ReleaseView};

use crate::client::archive::NewArchive;
use crate::client::ending;
use crate::client::releases::find;
use crate::ending::Ending;

/// Leaves nothing behind when it does not come to its end.
pub(super) async fn export(
    client: &Client,
    id: &ReleaseId,
    file: &Path,
) -> Result<ReleaseView, Ending> {
    let release = find(client, id).await?;
    let mut archive = NewArchive::create(file, &release.index)?;
    for (target, item) in &release.index.targets {
        let mut download = client.resource(id, target).await.map_err(ending)?;
        let mut resource = archive.resource(target, item)?;
        while let Some(chunk) = download.next().await.map_err(ending)? {
            resource.write(&chunk)?;
        }
        resource.finish()?;
    }
    archive.finish()?;
    Ok(release)
}
