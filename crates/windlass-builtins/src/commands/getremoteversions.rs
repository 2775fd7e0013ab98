//! `getremoteversions`: which version of which service a host runs, by its links.

use schemars::JsonSchema;
use serde::Deserialize;
use windlass_engine::command::{Command, CommandKind, InitContext};
use windlass_model::diagnostic::Diagnostics;

use super::args::AbsolutePath;
use super::report::Report;
use super::script::Script;
use super::scripted::Scripted;

/// See [`Args`].
pub(super) struct GetRemoteVersions;

/// Arguments of `getremoteversions`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// The directory that holds the links. A link `shop` that points to `shop_1.4.0` or `shop-1.4.0` says that version
    /// 1.4.0 of shop runs. Links that lead nowhere or elsewhere say nothing.
    install_location: AbsolutePath,
}

impl CommandKind for GetRemoteVersions {
    type Args = Args;

    fn name(&self) -> &'static str {
        "getremoteversions"
    }

    fn about(&self) -> &'static str {
        "Gives a line `service version` for each service of the host, by the links there, as the task's output; changes nothing."
    }

    fn initialize(
        &self,
        args: Args,
        _cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        let run = Script::new()
            .set("dir", args.install_location.as_str())
            .run(&[], include_str!("scripts/getremoteversions.sh"));
        let failing = format!("cannot look for versions in {}", args.install_location);
        Ok(Box::new(Report(Scripted::safe(vec![run.into()], failing))))
    }
}
