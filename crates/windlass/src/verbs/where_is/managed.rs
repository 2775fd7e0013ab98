//! What a manager says is where.

use windlass_model::release::{Environment, Project};
use windlass_wire::rest::InstalledView;

use crate::client::{ManagerOptions, ending, tables};
use crate::ending::Ending;
use crate::output::{print, print_json};

/// Prints the matrix of environment, project, target and host.
pub(super) async fn show(
    options: &ManagerOptions,
    project: Option<&Project>,
    environment: Option<&Environment>,
    as_json: bool,
) -> Result<(), Ending> {
    let rows = options.client()?.installed(project, environment).await;
    let rows = rows.map_err(ending)?;
    match as_json {
        true => print_json(&rows),
        false => print(&table(rows)),
    }
}

fn table(rows: Vec<InstalledView>) -> String {
    let row = |row: InstalledView| {
        [
            row.environment.to_string(),
            row.project.to_string(),
            row.target.to_string(),
            row.host,
            row.agent.to_string(),
            row.release.version.to_string(),
            tables::time(&row.time),
            tables::or_dash(row.previous.map(|previous| previous.version)),
            row.transaction.to_string(),
        ]
    };
    let header = [
        "ENVIRONMENT",
        "PROJECT",
        "TARGET",
        "HOST",
        "INSTALLER",
        "RELEASE",
        "SINCE",
        "BEFORE",
        "TRANSACTION",
    ];
    tables::table(header, rows.into_iter().map(row))
}
