//! `windlass versions`: what an installer has installed, as its behaviours tell.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use windlass_model::release::{Ask, Environment, TargetName};

use crate::ending::Ending;
use crate::installation::{DEFAULT_NAME, Place};
use crate::output::print;
use crate::program::Program;
use crate::serving::{InstalledVersion, installed_versions};

/// Show which versions an installer has installed, as its behaviours tell; no manager is asked
#[derive(Debug, Args)]
pub(crate) struct Versions {
    /// The installer's installation, as `windlass generate` makes it
    #[arg(value_name = "DIRECTORY", default_value = ".")]
    directory: PathBuf,
    /// The name of its config: conf/installer/release_installer_NAME
    #[arg(short, long, default_value = DEFAULT_NAME)]
    name: String,
    /// A directory to take instead of DIRECTORY/conf; relative paths then start in its parent
    #[arg(short, long, value_name = "PATH")]
    path: Option<PathBuf>,
    /// Only this environment
    #[arg(long)]
    env: Option<Environment>,
    /// Only this target
    #[arg(long)]
    target: Option<TargetName>,
    /// Forget the version of the target: the next install is done whatever is there
    #[arg(long, requires = "env", requires = "target")]
    reset: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Row {
    environment: String,
    target: String,
    host: String,
    version: Option<String>,
}

impl From<InstalledVersion> for Row {
    fn from(found: InstalledVersion) -> Self {
        Self {
            environment: found.environment.to_string(),
            target: found.target.to_string(),
            host: found.host,
            version: found.version,
        }
    }
}

impl Versions {
    /// Asks each target.
    pub(crate) async fn run(self, program: &Program) -> Result<(), Ending> {
        let place = Place::new(&self.directory, self.path.as_deref())?;
        let ask = if self.reset {
            Ask::ResetVersion
        } else {
            Ask::GetVersion
        };
        let wanted = (self.env.as_ref(), self.target.as_ref());
        let found = installed_versions(program, place, &self.name, ask, wanted).await?;
        let rows: Vec<Row> = found.into_iter().map(Row::from).collect();
        if self.json {
            let text = serde_json::to_string_pretty(&rows).map_err(|e| Ending::own("JSON", e))?;
            return print(&format!("{text}\n"));
        }
        for row in rows {
            let version = row.version.as_deref().unwrap_or("-");
            print(&format!(
                "{} {} {} {version}\n",
                row.environment, row.target, row.host
            ))?;
        }
        Ok(())
    }
}
