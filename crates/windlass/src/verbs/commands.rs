//! `windlass commands`: the commands of tasklists and their arguments.

use std::fmt::Write as _;

use clap::Args;
use serde_json::{Value, json};
use windlass_engine::command::AnyCommandKind;

use crate::ending::Ending;
use crate::output::{print, print_json};
use crate::program::Program;

/// Lists the commands of tasklists and their arguments
#[derive(Debug, Args)]
pub(crate) struct Commands {
    /// Only this one, with its arguments
    name: Option<String>,
    /// Print JSON, schemas of the arguments included
    #[arg(long)]
    json: bool,
}

impl Commands {
    /// Prints them.
    pub(crate) fn run(self, program: &Program) -> Result<(), Ending> {
        let registry = program.registry();
        let kinds: Vec<_> = match &self.name {
            Some(name) => match registry.find_command(name) {
                Some(kind) => vec![kind],
                None => {
                    let hint = registry.near_command(name).map_or_else(
                        || "`windlass commands` lists them".to_owned(),
                        |near| format!("did you mean `{near}`?"),
                    );
                    return Err(Ending::input(format!("unknown command `{name}`"), hint));
                }
            },
            None => registry.commands().collect(),
        };
        if self.json {
            let all: Vec<Value> = kinds
                .iter()
                .map(|k| json!({"name": k.name(), "about": k.about(), "arguments": k.schema()}))
                .collect();
            return print_json(&all);
        }
        let mut text = String::new();
        for kind in kinds {
            let _ = writeln!(text, "{:<22} {}", kind.name(), kind.about());
            if self.name.is_some() {
                arguments(&mut text, kind.as_ref());
            }
        }
        print(&text)
    }
}

fn arguments(text: &mut String, kind: &dyn AnyCommandKind) {
    let schema = kind.schema();
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let needed = if required.contains(&name.as_str()) {
            " (required)"
        } else {
            ""
        };
        let default = match property.get("default") {
            None | Some(Value::Null) => String::new(),
            Some(default) => format!(" [default: {default}]"),
        };
        let about = property["description"]
            .as_str()
            .unwrap_or("")
            .replace('\n', " ");
        let _ = writeln!(text, "  {name}{needed}{default}\n      {about}");
    }
}
