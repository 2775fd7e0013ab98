//! `test_command`: says what it was given. The example of a command.

use schemars::JsonSchema;
use serde::Deserialize;
use windlass_engine::command::{Command, CommandKind, Facts, InitContext, Repeat, Seen, Turn};
use windlass_model::Text;
use windlass_model::diagnostic::Diagnostics;
use windlass_model::outcome::Outcome;
use windlass_model::step::{Level, Say, Step};

/// The kind.
pub struct TestCommand;

/// Arguments of `test_command`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// Logged when the command is initialized and when it is executed.
    pub message: Text,
    /// Logged after the message; `None` if absent.
    pub optional_argument: Option<Text>,
}

impl CommandKind for TestCommand {
    type Args = Args;

    fn name(&self) -> &'static str {
        "test_command"
    }

    fn about(&self) -> &'static str {
        "Logs its arguments, when it is initialized and when it is executed."
    }

    fn initialize(
        &self,
        args: Args,
        _cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        Ok(Box::new(Test(args)))
    }
}

#[derive(Debug)]
struct Test(Args);

impl Test {
    fn line(&self, doing: &str) -> Text {
        let none = Text::plain("None");
        let second = self.0.optional_argument.as_ref().unwrap_or(&none);
        Text::plain(format!("{doing} test command: "))
            .then(self.0.message.clone())
            .then(Text::plain(" / "))
            .then(second.clone())
    }
}

impl Command for Test {
    fn turn(&self, _facts: &Facts, seen: &[Seen]) -> Turn {
        if seen.is_empty() {
            return Turn::Last(vec![Step::Log(Say {
                level: Level::Info,
                message: self.line("Executing"),
            })]);
        }
        Outcome::Unchanged.into()
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }

    fn said(&self) -> Vec<(Level, String)> {
        vec![(Level::Info, self.line("Initializing").to_string())]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::commands::trial::{facts, make, seen, steps};
    use windlass_model::step::Reply;

    fn lines(args: serde_json::Value) -> (String, String) {
        let command = make(&TestCommand, args).unwrap();
        let said = command.said().remove(0).1;
        let [Step::Log(say)] = &steps(command.turn(&facts(), &[]))[..] else {
            panic!("one line");
        };
        let end = command.turn(&facts(), &[seen(0, Reply::Logged)]);
        assert!(matches!(end, Turn::End(v) if v.outcome == Outcome::Unchanged));
        (said, say.message.to_string())
    }

    #[test]
    fn it_says_what_the_seed_says() {
        assert_eq!(
            lines(json!({"message": "Hello World"})),
            (
                "Initializing test command: Hello World / None".into(),
                "Executing test command: Hello World / None".into()
            )
        );
        assert_eq!(
            lines(json!({"message": "a", "optional_argument": 3})).1,
            "Executing test command: a / 3"
        );
    }
}
