//! `putfile`: one local file under a name on the host.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use windlass_engine::command::{Command, CommandKind, InitContext};
use windlass_model::diagnostic::Diagnostics;
use windlass_model::step::{As, Put, PutSource, Step};

use super::args::{AbsolutePath, Mode};
use super::paths::Owner;
use super::script::Script;
use super::scripted::Scripted;
use super::upload::pinned;

/// See [`Args`].
pub(super) struct PutFile;

/// Arguments of `putfile`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// A local file. A relative path starts where the config or tasklist lies.
    source: PathBuf,
    /// The file on the host. Its directory is made when it is missing. An existing file is replaced by a rename: there is
    /// never half of it.
    destination: AbsolutePath,
    /// Permission bits, in octal. If absent: as the user's umask has it.
    mode: Option<Mode>,
    /// `user`, `user:group` or `:group`.
    owner: Option<Owner>,
}

impl CommandKind for PutFile {
    type Args = Args;

    fn name(&self) -> &'static str {
        "putfile"
    }

    fn about(&self) -> &'static str {
        "Puts a local file to a path of the host, if it differs by SHA-256, at once and whole."
    }

    fn initialize(
        &self,
        args: Args,
        cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        let path = cx.base.join(&args.source);
        if !path.is_file() {
            let why = format!("there is no file {}", path.display());
            return Err(cx.wrong("source", why).into());
        }
        let to = args.destination.as_str();
        let Some((directory, _)) = to.rsplit_once('/').filter(|(_, name)| !name.is_empty()) else {
            return Err(cx.wrong("destination", "`/` is no file").into());
        };
        let make = Script::new()
            .set("dir", if directory.is_empty() { "/" } else { directory })
            .set("mode", "")
            .set("owner", "")
            .flag("clobber", false)
            .run(&[], include_str!("scripts/createdirectory.sh"));
        let put = Put {
            source: PutSource::File {
                sha256: pinned(&path, cx),
                path: path.clone(),
            },
            to: to.to_owned(),
            mode: args.mode.map(|mode| mode.0),
            owner: args.owner.map(|owner| owner.as_str().to_owned()),
            user: As::Login,
            replace: true,
        };
        let failing = format!("cannot put {} to {to}", path.display());
        Ok(Box::new(Scripted::safe(
            vec![make.into(), Step::Put(put)],
            failing,
        )))
    }
}
