//! `windlass releases`: what was built or imported; marks a release as one that must not be installed.

use clap::{Args, Subcommand};
use windlass_model::release::{Project, ReleaseId};
use windlass_wire::rest::ReleaseView;

use crate::client::{ManagerOptions, ending, tables};
use crate::ending::Ending;
use crate::output::{print, print_json};

/// Lists releases, the newest first; marks one as rejected
#[derive(Debug, Args)]
pub(crate) struct Releases {
    /// Only of this project
    project: Option<Project>,
    #[command(subcommand)]
    what: Option<Asked>,
    /// Print JSON: an array of objects; of `reject` an object
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    manager: ManagerOptions,
}

#[derive(Debug, Subcommand)]
enum Asked {
    /// Mark a release as one that must not be installed any more
    Reject {
        /// Which: PROJECT@VERSION
        release: ReleaseId,
        /// Why, for whoever wants to install it
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

impl Releases {
    /// Lists them, or marks one.
    pub(crate) async fn run(self) -> Result<(), Ending> {
        let client = self.manager.client()?;
        if let Some(Asked::Reject { release, reason }) = &self.what {
            let rejected = client.reject(release, reason).await.map_err(ending)?;
            return match self.json {
                true => print_json(&rejected),
                false => print(&table(vec![rejected])),
            };
        }
        let releases = client
            .releases(self.project.as_ref())
            .await
            .map_err(ending)?;
        match self.json {
            true => print_json(&releases),
            false => print(&table(releases)),
        }
    }
}

fn table(releases: Vec<ReleaseView>) -> String {
    let row = |r: ReleaseView| {
        let rejected = r.rejected.map(|why| format!("REJECTED: {why}"));
        [
            r.release.to_string(),
            tables::time(&r.time),
            tables::or_dash(r.index.revision),
            tables::list(r.index.targets.keys()),
            tables::or_dash(r.transaction),
            rejected.unwrap_or_default(),
        ]
    };
    let header = [
        "RELEASE",
        "SINCE",
        "REVISION",
        "TARGETS",
        "TRANSACTION",
        "NOTES",
    ];
    tables::table(header, releases.into_iter().map(row))
}
