//! A project goes back to what was in an environment before, by a manager.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use windlass_model::diagnostic::Diagnostic;
use windlass_model::release::{Environment, Project, ReleaseId};
use windlass_wire::rest::InstalledView;

use crate::client::requesting::Asking;
use crate::client::{ManagerOptions, ending, tables};
use crate::ending::Ending;
use crate::output::{print, say};
use crate::program::Program;

/// Asks for the install of the release that was there before, and watches it. `only_show`: touches nothing.
pub(super) async fn back(
    program: &Program,
    options: &ManagerOptions,
    (project, environment): (&Project, &Environment),
    only_show: bool,
) -> Result<(), Ending> {
    let client = options.client()?;
    let rows = client.installed(Some(project), Some(environment)).await;
    let rows = rows.map_err(ending)?;
    let release = before(&rows, project, environment)?;
    let shown = table(&rows, &release);
    if only_show {
        return print(&shown);
    }
    if !program.common.quiet {
        say(&shown);
    }
    let pairs = [
        ("project", project.to_string()),
        ("action", "install".into()),
        ("env", environment.to_string()),
        ("release", release.to_string()),
    ];
    let data = pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), Value::String(value)));
    let asking = Asking {
        data: data.collect::<Map<_, _>>(),
        wait: true,
        json: false,
        options,
        common: &program.common,
    };
    asking.ask().await
}

/// The one release that every target either had before, or has: an install that failed halfway leaves both.
fn before(
    rows: &[InstalledView],
    project: &Project,
    environment: &Environment,
) -> Result<ReleaseId, Diagnostic> {
    if rows.is_empty() {
        let message = format!("nothing of {project} is installed in {environment}");
        let hint = "`windlass where --project PROJECT` shows where it is";
        return Err(Diagnostic::error(message).hint(hint));
    }
    let candidates: BTreeSet<&ReleaseId> =
        rows.iter().filter_map(|r| r.previous.as_ref()).collect();
    let fits = |release: &&&ReleaseId| {
        let mut rows = rows.iter();
        rows.all(|row| row.release == ***release || row.previous.as_ref() == Some(**release))
    };
    let fitting: Vec<&&ReleaseId> = candidates.iter().filter(fits).collect();
    if let [release] = fitting.as_slice() {
        return Ok((**release).clone());
    }
    let mut message = match candidates.is_empty() {
        true => format!("nothing of {project} was in {environment} before:"),
        false => {
            format!("the targets of {project} in {environment} had not the same release before:")
        }
    };
    for row in rows {
        let previous = row.previous.as_ref().map(|release| &release.version);
        message.push_str(&format!(
            "\n  {} on {} has {}, before {}",
            row.target,
            row.host,
            row.release.version,
            previous.map_or("nothing", |version| version.as_str())
        ));
    }
    let hint = format!(
        "name the release: `windlass request {project} --env {environment} --release {project}@VERSION`"
    );
    Err(Diagnostic::error(message).hint(hint))
}

fn table(rows: &[InstalledView], release: &ReleaseId) -> String {
    let row = |row: &InstalledView| {
        let way = match row.release == *release {
            true => format!("{} (there already)", release.version),
            false => format!("{} -> {}", row.release.version, release.version),
        };
        [
            row.environment.to_string(),
            row.target.to_string(),
            row.host.clone(),
            way,
        ]
    };
    tables::table(
        ["ENVIRONMENT", "TARGET", "HOST", "RELEASE"],
        rows.iter().map(row),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(target: &str, release: &str, previous: Option<&str>) -> InstalledView {
        serde_json::from_value(json!({
            "environment": "qa", "project": "shop", "target": target, "agent": "i1", "host": "h1",
            "release": format!("shop@{release}"), "previous": previous.map(|p| format!("shop@{p}")),
            "transaction": "t1", "time": "2026-11-22T10:00:00Z",
        }))
        .unwrap()
    }

    fn of(rows: &[InstalledView]) -> Result<String, String> {
        let found = before(rows, &"shop".parse().unwrap(), &"qa".parse().unwrap());
        found
            .map(|release| release.to_string())
            .map_err(|d| d.message)
    }

    #[test]
    fn all_targets_go_to_one_release() {
        let both = [row("web", "2", Some("1")), row("db", "2", Some("1"))];
        assert_eq!(of(&both), Ok("shop@1".into()));
        let halfway = [row("web", "2", Some("1")), row("db", "1", Some("0"))];
        assert_eq!(of(&halfway), Ok("shop@1".into()));
    }

    #[test]
    fn what_differs_is_said() {
        let mixed = [row("web", "2", Some("1")), row("db", "2", Some("0"))];
        let why = of(&mixed).unwrap_err();
        assert!(why.contains("web on h1 has 2, before 1"), "{why}");
        assert!(why.contains("db on h1 has 2, before 0"), "{why}");
        assert!(
            of(&[row("web", "2", None)])
                .unwrap_err()
                .contains("nothing of shop")
        );
        assert!(
            of(&[])
                .unwrap_err()
                .contains("nothing of shop is installed")
        );
    }
}
