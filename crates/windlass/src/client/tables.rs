//! What a manager tells, as columns for people.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use windlass_wire::rest::{JobView, TransactionDetail, TransactionView};

use crate::site::aligned;

/// A manager's time, as this machine's clock has it.
pub(crate) fn time(text: &str) -> String {
    let Ok(time) = text.parse::<Timestamp>() else {
        return text.to_owned();
    };
    let time = time.to_zoned(TimeZone::system());
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A value, or a dash.
pub(crate) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".into(), |value| value.to_string())
}

/// A text of several lines in one.
pub(crate) fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join("; ")
}

/// Names in one cell.
pub(crate) fn list<T: ToString>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    match names.is_empty() {
        true => "-".into(),
        false => names.join(", "),
    }
}

/// A table with its header.
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut lines = vec![header.map(str::to_owned)];
    lines.extend(rows);
    aligned(&lines)
}

/// The newest transactions.
pub(crate) fn transactions(transactions: &[TransactionView]) -> String {
    let header = [
        "TRANSACTION",
        "ASKED",
        "STATUS",
        "ACTION",
        "PROJECT",
        "ENVIRONMENT",
        "RELEASE",
        "BY",
        "WHY",
    ];
    let row = |t: &TransactionView| {
        [
            t.transaction.to_string(),
            time(&t.time),
            t.status.as_str().to_owned(),
            t.action.clone(),
            t.project.to_string(),
            or_dash(t.environment.as_ref()),
            or_dash(t.release.as_ref()),
            t.actor.clone(),
            t.why.as_deref().map(one_line).unwrap_or_default(),
        ]
    };
    table(header, transactions.iter().map(row))
}

/// A transaction and its jobs.
pub(crate) fn transaction(detail: &TransactionDetail) -> String {
    let t = &detail.transaction;
    let mut lines = Vec::new();
    let mut add = |name: &str, value: Option<String>| {
        lines.extend(value.map(|value| [format!("{name}:"), value]));
    };
    add("transaction", Some(t.transaction.to_string()));
    add("status", Some(t.status.as_str().into()));
    add("why", t.why.as_deref().map(one_line));
    add("project", Some(t.project.to_string()));
    add("action", Some(t.action.clone()));
    add(
        "environment",
        t.environment.as_ref().map(ToString::to_string),
    );
    add("release", t.release.as_ref().map(ToString::to_string));
    add("asked", Some(format!("{} by {}", time(&t.time), t.actor)));
    add("ended", t.ended.as_deref().map(time));
    let mut text = aligned(&lines);
    if !detail.jobs.is_empty() {
        let header = ["JOB", "KIND", "TARGET", "AGENT", "WAVE", "STATE", "RESULT"];
        text.push('\n');
        text.push_str(&table(header, detail.jobs.iter().map(job)));
    }
    text
}

fn job(job: &JobView) -> [String; 7] {
    [
        job.job.to_string(),
        job.kind.as_str().to_owned(),
        or_dash(job.target.as_ref()),
        or_dash(job.agent.as_ref()),
        job.wave.to_string(),
        job.state.as_str().to_owned(),
        job.result.as_deref().map(one_line).unwrap_or_default(),
    ]
}
