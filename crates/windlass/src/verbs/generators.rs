//! `windlass generators`: what a config's `platform` may name.

use clap::Args;
use serde_json::{Value, json};

use crate::ending::Ending;
use crate::output::{print, print_json};
use crate::program::Program;

/// Lists the generators: what a config's `platform` may name
#[derive(Debug, Args)]
pub(crate) struct Generators {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Generators {
    /// Prints them, the user's own in `generators/` here included.
    pub(crate) fn run(self, program: &Program) -> Result<(), Ending> {
        let registry = program.registry();
        let folder = program.surroundings.directory.join("generators");
        let own: Vec<(String, String)> = windlass_builtins::plugins::list(&folder)?
            .iter()
            .map(|file| {
                let name = file.file_stem().unwrap_or_default().to_string_lossy();
                (name.into_owned(), file.display().to_string())
            })
            .collect();
        if self.json {
            let built_in = registry
                .generators()
                .map(|g| json!({"name": g.name(), "about": g.about(), "file": null}));
            let files = own
                .iter()
                .map(|(name, file)| json!({"name": name, "about": null, "file": file}));
            return print_json(&built_in.chain(files).collect::<Vec<Value>>());
        }
        let built_in = registry
            .generators()
            .map(|g| format!("{:<22} {}\n", g.name(), g.about()));
        let files = own
            .iter()
            .map(|(name, file)| format!("{name:<22} {file}\n"));
        print(&built_in.chain(files).collect::<String>())
    }
}
