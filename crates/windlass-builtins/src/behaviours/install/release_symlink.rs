//! `release_symlink`: each release in a directory of its own, and a link to the one that is used.

use async_trait::async_trait;
use windlass_engine::generator::{Generator, Help};
use windlass_model::diagnostic::Diagnostics;
use windlass_model::tasklist::Tasklist;
use windlass_model::tree::Node;

use super::place::{Place, is_archive, resource};
use super::unarchive::{fresh, strip, unpack};
use crate::behaviours::settings::{self, Settings};
use crate::behaviours::task;

/// How many releases stay unless the config says otherwise, the one that is used among them.
const KEEP: u32 = 5;

/// The behaviour. The layout is that of a rolling deploy: `<path>_<version>` beside the link `<path>`.
pub(in crate::behaviours) struct ReleaseSymlink;

#[async_trait]
impl Generator for ReleaseSymlink {
    fn name(&self) -> &str {
        "release_symlink"
    }

    fn about(&self) -> String {
        "Unpacks each release beside the target's path, makes that a link to the newest, and keeps some older ones.".into()
    }

    async fn generate(&self, help: &dyn Help) -> Result<Tasklist, Diagnostics> {
        let facts = settings::install(help.config())?;
        let place = Place::of(&facts)?;
        let Some(resource) = resource(&facts)? else {
            return Ok(place.versions(&facts));
        };
        let mut settings = Settings::new(help.config());
        let keep = settings.whole("keep", 1).unwrap_or(KEEP);
        let strip = strip(&mut settings);
        settings.faults.or(())?;
        let (tag, incoming) = (facts.target.as_str(), place.incoming());
        let source = resource.path.to_string_lossy().into_owned();
        let release = format!("{}_{}", place.service, resource.version);
        let filled = match is_archive(&resource.name) {
            true => unpack(tag, source, &incoming, strip),
            false => {
                let to = format!("{incoming}/{}", resource.name);
                task("putfile", tag, [("source", source), ("destination", to)])
            }
        };
        let chain = vec![
            fresh(tag, &incoming),
            filled,
            task(
                "replacedirectory",
                tag,
                [
                    ("source", Node::from(incoming)),
                    (
                        "destination",
                        format!("{}/{release}", place.location).into(),
                    ),
                    // It has the name of this release: nobody else's.
                    ("replace", true.into()),
                ],
            ),
            task(
                "symlink",
                tag,
                [("source", release), ("destination", place.path.clone())],
            ),
            task(
                "cleanup",
                tag,
                [
                    ("path", Node::from(place.location.clone())),
                    ("filespec", format!("{}_*", place.service).into()),
                    ("keepversions", i64::from(keep).into()),
                    ("currentversion", resource.version.to_string().into()),
                ],
            ),
        ];
        Ok(place.install(&facts, resource, chain))
    }
}
