//! `windlass release`: takes a release from an archive, or writes one to an archive.

mod export;
mod import;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use windlass_model::release::ReleaseId;
use windlass_wire::rest::ReleaseView;

use crate::client::{ManagerOptions, unless_interrupted};
use crate::ending::Ending;
use crate::output::{print, print_json};
use crate::program::Program;

/// Takes a release in from an archive, or writes one to an archive
#[derive(Debug, Args)]
pub(crate) struct Release {
    #[command(subcommand)]
    what: Asked,
    /// Print JSON: the release
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    manager: ManagerOptions,
}

#[derive(Debug, Subcommand)]
enum Asked {
    /// Take in an archive: verify it, upload what the manager lacks, and make it known
    Import {
        /// A zip of index.json and each resource as TARGET/NAME
        file: PathBuf,
    },
    /// Write an archive of a release; a file of that name is replaced once the archive is whole
    Export {
        /// Which: PROJECT@VERSION
        release: ReleaseId,
        /// To which file
        file: PathBuf,
    },
}

impl Release {
    /// Does it, and prints the release.
    pub(crate) async fn run(self, program: &Program) -> Result<(), Ending> {
        let client = self.manager.client()?;
        let is_quiet = program.common.quiet;
        let release: ReleaseView = match &self.what {
            Asked::Import { file } => {
                unless_interrupted(import::import(&client, file, is_quiet)).await?
            }
            Asked::Export { release, file } => {
                unless_interrupted(export::export(&client, release, file)).await?
            }
        };
        match self.json {
            true => print_json(&release),
            false => print(&format!("{}\n", release.release)),
        }
    }
}
