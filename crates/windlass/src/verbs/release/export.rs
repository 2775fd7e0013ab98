//! A release goes into an archive, each resource verified on its way.

use std::path::Path;

use windlass_model::diagnostic::{Diagnostic, nearest};
use windlass_model::release::ReleaseId;
use windlass_wire::rest::{Client, ReleaseView};

use crate::client::archive::NewArchive;
use crate::client::ending;
use crate::ending::Ending;

/// Leaves nothing behind when it does not come to its end.
pub(super) async fn export(
    client: &Client,
    id: &ReleaseId,
    file: &Path,
) -> Result<ReleaseView, Ending> {
    let releases = client.releases(Some(&id.project)).await.map_err(ending)?;
    let Some(release) = releases.iter().find(|release| release.release == *id) else {
        let names: Vec<String> = releases.iter().map(|r| r.release.to_string()).collect();
        let near = nearest(&id.to_string(), names.iter().map(String::as_str));
        let hint = match near {
            Some(near) => format!("did you mean {near}?"),
            None => format!("`windlass releases {}` shows what there is", id.project),
        };
        return Err(Diagnostic::error(format!("there is no release {id}"))
            .hint(hint)
            .into());
    };
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
    Ok(release.clone())
}
