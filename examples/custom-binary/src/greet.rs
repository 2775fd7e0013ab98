//! The command `greet`: says hello on a host.

use schemars::JsonSchema;
use serde::Deserialize;
use windlass_builtins::commands::scripted::Scripted;
use windlass_builtins::sh::quote;
use windlass_engine::command::{Command, CommandKind, InitContext};
use windlass_model::diagnostic::Diagnostics;
use windlass_model::step::Run;

/// The command `greet`.
pub(crate) struct Greet;

/// Its arguments. The doc comments become its documentation, the types its JSON Schema.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Args {
    /// Who is greeted.
    name: String,
    /// How often; at least once.
    #[serde(default = "once")]
    times: u32,
}

fn once() -> u32 {
    1
}

impl CommandKind for Greet {
    type Args = Args;

    fn name(&self) -> &'static str {
        "greet"
    }

    fn about(&self) -> &'static str {
        "Says hello on a host"
    }

    fn initialize(
        &self,
        args: Args,
        cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        if args.times == 0 {
            let wrong = cx.wrong("times", "`times` must be at least 1");
            return Err(wrong.hint("leave it out to greet once").into());
        }
        let name = quote(&args.name);
        let line = format!("printf 'Hello, %s\\n' {name}");
        let script = vec![line; args.times as usize].join("\n");
        let failing = format!("cannot greet {}", args.name);
        Ok(Box::new(Scripted::safe(
            vec![Run::script(script).into()],
            failing,
        )))
    }
}
