//! `windlass init`: a commented config to start from.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use crate::ending::Ending;
use crate::output::say;

const TEMPLATE: &str = include_str!("../templates/windlass.yaml");

/// Writes a commented windlass.yaml to start from
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Where to
    #[arg(default_value = "windlass.yaml")]
    file: PathBuf,
}

impl Init {
    /// Writes it; an existing file is left alone.
    pub(crate) fn run(self) -> Result<(), Ending> {
        let shown = self.file.display();
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&self.file)
            .map_err(|e| {
                let hint = match e.kind() {
                    std::io::ErrorKind::AlreadyExists => "name another file: `windlass init FILE`",
                    _ => "name a file in a directory that you may write to",
                };
                Ending::input(format!("{shown} cannot be written: {e}"), hint)
            })?;
        file.write_all(TEMPLATE.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(|e| Ending::own(self.file.display(), e))?;
        say(&format!(
            "{shown} written. Fill in its hosts, then `windlass hosts check`, then\n\
             `windlass deploy --component FILE`\n"
        ));
        Ok(())
    }
}
