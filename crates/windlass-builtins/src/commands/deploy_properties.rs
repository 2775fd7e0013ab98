//! `deploy_properties`: the files of a package for one environment.

use schemars::JsonSchema;
use serde::Deserialize;
use windlass_engine::command::{Command, CommandKind, InitContext};
use windlass_model::diagnostic::Diagnostics;

use super::args::AbsolutePath;
use super::movefile::is_in;
use super::paths::guarded;
use super::script::{GUARD, RENAME, Script, TEMP};
use super::scripted::Scripted;

/// See [`Args`].
pub(super) struct DeployProperties;

/// Arguments of `deploy_properties`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// The directory on the host that holds the environment's files.
    source: AbsolutePath,
    /// The directory that is to hold a copy of them and nothing else. An existing one is replaced as a whole, if it is
    /// empty or was put there by this command (it then holds a file `.version`).
    destination: AbsolutePath,
    /// Written to `.version` in the destination.
    version: Option<String>,
}

impl CommandKind for DeployProperties {
    type Args = Args;

    fn name(&self) -> &'static str {
        "deploy_properties"
    }

    fn about(&self) -> &'static str {
        "Copies a package's files for one environment; the fresh copy takes the old one's place by a rename."
    }

    fn initialize(
        &self,
        args: Args,
        cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        let (from, to) = (&args.source, &args.destination);
        let wrong = if is_in(from, to) || is_in(to, from) {
            Some(format!(
                "`{from}` cannot be copied to `{to}`: one holds the other"
            ))
        } else {
            guarded(to)
        };
        if let Some(why) = wrong {
            return Err(cx.wrong("destination", why).into());
        }
        let version = args.version.as_deref().unwrap_or("");
        if version.chars().any(char::is_control) {
            return Err(cx
                .wrong("version", "must be one line without control characters")
                .into());
        }
        let run = Script::new()
            .set("from", from.as_str())
            .set("to", to.as_str())
            .set("version", version)
            .run(
                &[GUARD, TEMP, RENAME],
                include_str!("scripts/deploy_properties.sh"),
            );
        let failing = format!("cannot copy the properties in {from} to {to}");
        Ok(Box::new(Scripted::safe(vec![run.into()], failing)))
    }
}
