//! `unarchive`: the archive's contents at the target's path, and nothing else there.

use async_trait::async_trait;
use windlass_engine::generator::{Generator, Help};
use windlass_model::diagnostic::Diagnostics;
use windlass_model::tasklist::Tasklist;
use windlass_model::tree::Node;

use super::place::{Place, resource};
use crate::behaviours::settings::{self, Settings};
use crate::behaviours::task;

/// The behaviour.
pub(in crate::behaviours) struct Unarchive;

#[async_trait]
impl Generator for Unarchive {
    fn name(&self) -> &str {
        "unarchive"
    }

    fn about(&self) -> String {
        "Unpacks an archive beside the target's path and puts it in the place of what is there, at once.".into()
    }

    async fn generate(&self, help: &dyn Help) -> Result<Tasklist, Diagnostics> {
        let facts = settings::install(help.config())?;
        let place = Place::of(&facts)?;
        let Some(resource) = resource(&facts)? else {
            return Ok(place.versions(&facts));
        };
        let mut settings = Settings::new(help.config());
        let replace = settings.truth("replace");
        let strip = strip(&mut settings);
        settings.faults.or(())?;
        let (tag, incoming) = (facts.target.as_str(), place.incoming());
        let archive = resource.path.to_string_lossy().into_owned();
        let chain = vec![
            fresh(tag, &incoming),
            unpack(tag, archive, &incoming, strip),
            task(
                "replacedirectory",
                tag,
                [
                    ("source", Node::from(incoming)),
                    ("destination", place.path.clone().into()),
                    ("replace", replace.into()),
                ],
            ),
        ];
        Ok(place.install(&facts, resource, chain))
    }
}

/// An empty directory.
pub(super) fn fresh(tag: &str, directory: &str) -> windlass_model::tasklist::Task {
    let args = [("source", Node::from(directory)), ("clobber", true.into())];
    task("createdirectory", tag, args)
}

/// An archive into it.
pub(super) fn unpack(
    tag: &str,
    archive: String,
    directory: &str,
    strip: Node,
) -> windlass_model::tasklist::Task {
    let args = [
        ("source", Node::from(archive)),
        ("destination", directory.into()),
        ("strip", strip),
    ];
    task("unpack", tag, args)
}

/// `strip` as `unpack` takes it.
pub(super) fn strip(settings: &mut Settings<'_>) -> Node {
    if settings.get("strip").and_then(Node::as_str) == Some("single") {
        return "single".into();
    }
    i64::from(settings.whole("strip", 0).unwrap_or(0)).into()
}
