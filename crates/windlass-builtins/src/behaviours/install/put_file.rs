//! `put_file`: the resource as it is, under the target's path.

use async_trait::async_trait;
use windlass_engine::generator::{Generator, Help};
use windlass_model::diagnostic::Diagnostics;
use windlass_model::tasklist::Tasklist;
use windlass_model::tree::Node;

use super::place::{Place, resource};
use crate::behaviours::settings::{self, Settings};
use crate::behaviours::task;

/// The behaviour.
pub(in crate::behaviours) struct PutFile;

#[async_trait]
impl Generator for PutFile {
    fn name(&self) -> &str {
        "put_file"
    }

    fn about(&self) -> String {
        "Puts the resource to the target's path by a rename, or into it if that is a directory."
            .into()
    }

    async fn generate(&self, help: &dyn Help) -> Result<Tasklist, Diagnostics> {
        let facts = settings::install(help.config())?;
        let mut place = Place::of(&facts)?;
        let mut settings = Settings::new(help.config());
        let (name, mode) = (settings.text("file_name"), settings.text("mode"));
        let owner = settings.text("owner");
        let odd = |name: &String| name.contains('/') || name.starts_with('.') && name.len() < 3;
        if name.as_ref().is_some_and(odd) {
            settings.wrong("file_name", "`file_name` is the name of one file");
        }
        settings.faults.or(())?;
        let written = facts.install_path.as_deref().unwrap_or_default();
        let is_directory = name.is_some()
            || written.ends_with('/')
            || tokio::fs::metadata(&place.path)
                .await
                .is_ok_and(|m| m.is_dir());
        if is_directory {
            // The file may have another name each time; the receipts have the target's.
            place = Place {
                location: place.path.clone(),
                path: place.path,
                service: facts.target.to_string(),
            };
        }
        let Some(resource) = resource(&facts)? else {
            return Ok(place.versions(&facts));
        };
        let destination = match is_directory {
            true => format!("{}/{}", place.path, name.as_ref().unwrap_or(&resource.name)),
            false => place.path.clone(),
        };
        let source = resource.path.to_string_lossy().into_owned();
        let mut args = vec![
            ("source", Node::from(source)),
            ("destination", destination.into()),
        ];
        args.extend(mode.map(|mode| ("mode", Node::from(mode))));
        args.extend(owner.map(|owner| ("owner", Node::from(owner))));
        let chain = vec![task("putfile", facts.target.as_str(), args)];
        Ok(place.install(&facts, resource, chain))
    }
}
