//! `writefile`: a file with given contents.

use schemars::JsonSchema;
use serde::Deserialize;
use windlass_engine::command::{Command, CommandKind, InitContext};
use windlass_model::diagnostic::Diagnostics;
use windlass_model::step::{As, Put, PutSource};
use windlass_model::text::Text;

use super::args::{AbsolutePath, Mode};
use super::scripted::Scripted;

/// See [`Args`].
pub(super) struct WriteFile;

/// Arguments of `writefile`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// The file. Its directory must exist.
    destination: AbsolutePath,
    /// What is to be in it, to the byte; or a secret.
    contents: Text,
    /// Whether a file with other contents is replaced; if not, it is an error. One with the same contents is unchanged
    /// either way.
    #[serde(default)]
    clobber: bool,
    /// Permission bits, in octal. If absent: as the user's umask has it, but 0600 for a secret.
    mode: Option<Mode>,
}

impl CommandKind for WriteFile {
    type Args = Args;

    fn name(&self) -> &'static str {
        "writefile"
    }

    fn about(&self) -> &'static str {
        "Writes a file; it appears at once and whole."
    }

    fn initialize(
        &self,
        args: Args,
        _cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        let is_secret = args.contents.secrets().next().is_some();
        let put = Put {
            source: PutSource::Bytes(args.contents),
            to: args.destination.as_str().to_owned(),
            mode: args.mode.map(|m| m.0).or(is_secret.then_some(0o600)),
            owner: None,
            user: As::Login,
            replace: args.clobber,
        };
        let failing = format!("cannot write {}", args.destination);
        Ok(Box::new(Scripted::safe(
            vec![windlass_model::step::Step::Put(put)],
            failing,
        )))
    }
}
