//! `windlass completions`: completions for a shell.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::ending::Ending;
use crate::output::print;

/// Prints completions for a shell
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// Which shell
    shell: Shell,
}

impl Completions {
    /// Prints them.
    pub(crate) fn run(self) -> Result<(), Ending> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "windlass", &mut text);
        print(&String::from_utf8_lossy(&text))
    }
}
