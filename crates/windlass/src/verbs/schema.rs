//! `windlass schema`: JSON Schemas of formats.

use clap::{Args, ValueEnum};

use crate::ending::Ending;
use crate::output::print_json;
use crate::program::Program;

/// Prints the JSON Schema of a format
#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// Which
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Tasklists, with the arguments of every built-in command
    Tasklist,
}

impl Schema {
    /// Prints it.
    pub(crate) fn run(self, program: &Program) -> Result<(), Ending> {
        match self.format {
            Format::Tasklist => {
                let registry = program.registry();
                let commands = registry
                    .commands()
                    .map(|k| (k.name().to_owned(), k.about(), k.schema()));
                print_json(&windlass_engine::schema::tasklist(commands))
            }
        }
    }
}
