//! `windlass serve`: a manager, a builder or an installer.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::ending::Ending;
use crate::installation::{DEFAULT_NAME, Place};
use crate::program::Program;
use crate::serving::{Manner, Orders, serve_builder, serve_installer, serve_manager};

/// Start a manager, a builder or an installer
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Which of them
    #[arg(value_enum)]
    kind: Kind,
    /// Its installation, as `windlass generate` makes it
    #[arg(value_name = "DIRECTORY", default_value = ".")]
    directory: PathBuf,
    /// The name of its config: conf/manager/release_manager_NAME and the like
    #[arg(short, long, default_value = DEFAULT_NAME)]
    name: String,
    /// A directory to take instead of DIRECTORY/conf; relative paths then start in its parent
    #[arg(short, long, value_name = "PATH")]
    path: Option<PathBuf>,
}

/// A service of the release system.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Routes requests, keeps releases
    Manager,
    /// Builds
    Builder,
    /// Installs
    Installer,
}

impl Serve {
    /// Serves until SIGTERM or Ctrl-C.
    pub(crate) async fn run(self, program: &Program) -> Result<(), Ending> {
        let place = Place::new(&self.directory, self.path.as_deref())?;
        let manner = Manner {
            orders: Orders::of_signals()?,
            aloud: true,
        };
        match self.kind {
            Kind::Manager => serve_manager(program, place, &self.name, manner).await,
            Kind::Builder => serve_builder(program, place, &self.name, manner).await,
            Kind::Installer => serve_installer(program, place, &self.name, manner).await,
        }
    }
}
