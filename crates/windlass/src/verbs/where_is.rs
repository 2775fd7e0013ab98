//! `windlass where`: which release is on which host, since when, and who put it there.

mod managed;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use windlass_builtins::generators::rolling::look::{Found, Said, look};
use windlass_model::release::{Environment, Project};
use windlass_model::step::Level;

use crate::client::ManagerOptions;
use crate::ending::Ending;
use crate::output::{print, print_json};
use crate::program::Program;
use crate::session::Session;
use crate::site::{self, Site};

/// Shows which release is on which host, since when, and who put it there
///
/// Asks the hosts of the config; with --project or --env the manager.
#[derive(Debug, Args)]
pub(crate) struct Where {
    /// Only these services
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
    #[command(flatten)]
    chosen: site::Chosen,
    /// The platform config [default: windlass.yaml here or in a parent folder]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON: an array of objects
    #[arg(long)]
    json: bool,
    /// What the manager has put where of this project
    #[arg(long, conflicts_with_all = ["services", "hosts", "hostgroups", "config"])]
    project: Option<Project>,
    /// What the manager has put into this environment
    #[arg(long, value_name = "ENVIRONMENT", conflicts_with_all = ["services", "hosts", "hostgroups", "config"])]
    env: Option<Environment>,
    #[command(flatten)]
    manager: ManagerOptions,
}

/// A service on a host.
#[derive(Debug, Serialize)]
struct Row {
    service: String,
    host: String,
    /// The version that the link points to.
    release: Option<String>,
    /// When it was put there, RFC 3339.
    since: Option<String>,
    /// Who put it there.
    by: Option<String>,
    /// The run that put it there.
    run: Option<String>,
    /// Whether its check passed just now.
    healthy: Option<bool>,
    /// What the last run opened here and did not close.
    owed: Vec<String>,
    /// Whether the newest release that succeeded anywhere is another one.
    behind: Option<bool>,
    /// What the last change here came to.
    result: Option<String>,
    /// The version that the last change was to put here.
    last_release: Option<String>,
    /// The run of the last change.
    last_run: Option<String>,
    reachable: bool,
    /// Why the host could not be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Where {
    /// Asks all hosts at once and prints what they say. Exit status 1 when none of them answered.
    pub(crate) async fn run(self, program: &Program) -> Result<(), Ending> {
        if self.project.is_some() || self.env.is_some() {
            let (project, environment) = (self.project.as_ref(), self.env.as_ref());
            return managed::show(&self.manager, project, environment, self.json).await;
        }
        self.manager.not_without("--project or --env")?;
        let mut session = Session::start(program)?;
        let result = self.run_in(&mut session).await;
        session.finish(result).await
    }

    async fn run_in(self, session: &mut Session) -> Result<(), Ending> {
        let site = Site::open(session, self.config.as_deref(), &self.chosen, "where").await?;
        let mut interrupt = session.interrupt.clone();
        let found = tokio::select! {
            found = look(&site.rolling, &site.hosts, &self.services, &[], true) => found?,
            () = interrupt.reached(1) => return Err(Ending::Interrupted),
        };
        site.hosts.close().await;
        for found in &found {
            if let Err(why) = &found.said {
                let message = format!("not reached: {why}");
                let (host, tag) = (Some(&found.host), Some(found.service.as_str()));
                session
                    .events
                    .log(Level::Warning, "Where", host, tag, &message);
            }
        }
        let rows = rows(&found);
        match self.json {
            true => print_json(&rows)?,
            false => print(&table(&rows))?,
        }
        if !rows.is_empty() && rows.iter().all(|row| !row.reachable) {
            return Err(Ending::Failed);
        }
        Ok(())
    }
}

fn rows(found: &[Found]) -> Vec<Row> {
    let newest = newest(found);
    found.iter().map(|found| row(found, &newest)).collect()
}

/// Service -> the release that most lately succeeded on a host that has it; without receipts the one that most hosts have.
fn newest(found: &[Found]) -> BTreeMap<&str, String> {
    let mut newest: BTreeMap<&str, (i64, usize, String)> = BTreeMap::new();
    for one in found {
        let Some((release, since)) = standing(one) else {
            continue;
        };
        let same = |other: &&Found| {
            other.service == one.service && standing(other).is_some_and(|(r, _)| r == release)
        };
        let candidate = (since, found.iter().filter(same).count(), release);
        let best = newest
            .entry(&one.service)
            .or_insert_with(|| candidate.clone());
        if candidate > *best {
            *best = candidate;
        }
    }
    newest
        .into_iter()
        .map(|(service, (_, _, release))| (service, release))
        .collect()
}

/// The release on a host, if it is not known to run badly, and its place among changes, which is a time unless clocks differ;
/// 0: nobody knows when.
fn standing(found: &Found) -> Option<(String, i64)> {
    let said = found.said.as_ref().ok()?;
    let release = said.release(&found.service)?;
    match said.put_by(&found.service) {
        Some(receipt) if receipt.succeeded() => Some((release, receipt.place())),
        Some(_) => None,
        None => Some((release, 0)),
    }
}

fn row(found: &Found, newest: &BTreeMap<&str, String>) -> Row {
    let unknown = Said::default();
    let said = found.said.as_ref().unwrap_or(&unknown);
    let release = said.release(&found.service);
    let put_by = said.put_by(&found.service);
    let last = said.receipts.last();
    let behind = found.said.is_ok() && newest.contains_key(found.service.as_str());
    Row {
        service: found.service.clone(),
        host: found.host.to_string(),
        since: put_by.and_then(|receipt| {
            let time = Timestamp::from_second(receipt.time).ok()?;
            Some(time.to_string())
        }),
        by: put_by.map(|receipt| receipt.by.clone()),
        run: put_by.map(|receipt| receipt.run.clone()),
        healthy: said.healthy,
        owed: last.map(|receipt| receipt.owed.clone()).unwrap_or_default(),
        behind: behind.then(|| newest.get(found.service.as_str()) != release.as_ref()),
        result: last.map(|receipt| receipt.result.clone()),
        last_release: last.map(|receipt| receipt.to.clone()),
        last_run: last.map(|receipt| receipt.run.clone()),
        reachable: found.said.is_ok(),
        error: found.said.as_ref().err().cloned(),
        release,
    }
}

/// For people: columns, and what is out of the ordinary behind them.
fn table(rows: &[Row]) -> String {
    let mut lines = vec![
        [
            "SERVICE",
            "HOST",
            "RELEASE",
            "SINCE",
            "BY",
            "RUN",
            "HEALTHY",
            "LAST RESULT",
            "NOTES",
        ]
        .map(str::to_owned),
    ];
    lines.extend(rows.iter().map(line));
    site::aligned(&lines)
}

fn line(row: &Row) -> [String; 9] {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    let healthy = match row.healthy {
        Some(true) => "yes",
        Some(false) => "NO",
        None => "-",
    };
    let since = row.since.as_deref().and_then(|since| {
        let time: Timestamp = since.parse().ok()?;
        let time = time.to_zoned(TimeZone::system());
        Some(time.strftime("%Y-%m-%d %H:%M:%S").to_string())
    });
    let mut notes = Vec::new();
    if !row.reachable {
        notes.push("UNREACHABLE".to_owned());
    }
    if row.behind == Some(true) {
        notes.push("behind".to_owned());
    }
    if !row.owed.is_empty() {
        notes.push(format!("owed: {}", row.owed.join(", ")));
    }
    let result = match (&row.result, &row.last_release) {
        (Some(result), Some(last)) if row.last_release != row.release => {
            format!("{result} ({last})")
        }
        (result, _) => or_dash(result),
    };
    [
        row.service.clone(),
        row.host.clone(),
        or_dash(&row.release),
        or_dash(&since),
        or_dash(&row.by),
        or_dash(&row.run),
        healthy.to_owned(),
        result,
        notes.join("; "),
    ]
}
