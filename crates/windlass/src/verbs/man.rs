//! `windlass man`: the manual page.

use clap::{Args, CommandFactory};
use clap_mangen::Man as Page;

use crate::cli::Cli;
use crate::ending::Ending;
use crate::output::print;

/// Prints the manual page (roff)
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Of this verb, instead of the whole
    verb: Option<String>,
}

impl Man {
    /// Prints it.
    pub(crate) fn run(self) -> Result<(), Ending> {
        let mut cli = Cli::command();
        cli.build();
        let page = match &self.verb {
            None => cli,
            Some(verb) => cli.find_subcommand(verb).cloned().ok_or_else(|| {
                Ending::input(
                    format!("there is no verb `{verb}`"),
                    "`windlass --help` lists them",
                )
            })?,
        };
        let mut text = Vec::new();
        Page::new(page)
            .render(&mut text)
            .map_err(|e| Ending::own("the manual page", e))?;
        print(&String::from_utf8_lossy(&text))
    }
}
