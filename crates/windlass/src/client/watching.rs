//! A transaction as it goes on: changes of its status and its jobs, and their logs, until it has ended.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use windlass_model::diagnostic::Diagnostic;
use windlass_model::release::{JobId, JobState, Status, TransactionId};
use windlass_wire::connection::WireError;
use windlass_wire::rest::{Client, JobView, TransactionDetail};

use super::tables::one_line;
use super::{ManagerOptions, ending};
use crate::cli::{Common, LogFormat};
use crate::ending::Ending;
use crate::output::say;

/// Seconds that the manager may wait for news.
const NEWS: u32 = 25;
/// How often logs are looked at.
const EVERY: Duration = Duration::from_millis(700);
/// How long a manager may be away, which is started again for instance.
const AWAY: Duration = Duration::from_secs(300);
/// How long it is left alone then.
const PAUSE: Duration = Duration::from_secs(2);
/// How long the rest of the logs may take.
const REST: Duration = Duration::from_secs(20);
/// Parts of one job's log that are read in a row.
const PARTS: usize = 64;
/// Longest line that is kept until its end comes, in bytes.
const LONGEST_LINE: usize = 64 << 10;

/// How it is told on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    Text,
    Json,
}

/// Follows a transaction to its end. Whoever drops it stops looking; the transaction goes on.
pub(crate) async fn watch(
    client: &Client,
    id: &TransactionId,
    common: &Common,
) -> Result<TransactionDetail, Ending> {
    let told = match (common.quiet, common.log_format) {
        (true, _) => Told::Nothing,
        (false, LogFormat::Json) => Told::Json,
        (false, LogFormat::Text) => Told::Text,
    };
    let mut teller = Teller::new(told, id);
    let mut seen = client.transaction(id).await.map_err(ending)?;
    let mut answered = Instant::now();
    loop {
        // What a job printed comes before what came of it.
        let _ = timeout(REST, teller.logs(client, &seen)).await;
        teller.tell(&seen);
        if seen.transaction.ended.is_some() {
            teller.rest();
            return Ok(seen);
        }
        match news(client, &seen, &mut teller).await {
            Ok(news) => {
                seen = news;
                answered = Instant::now();
            }
            Err(error) if error.is_passing() && answered.elapsed() < AWAY => {
                teller.away(&error);
                sleep(PAUSE).await;
            }
            Err(error) => return Err(ending(error)),
        }
    }
}

/// What is new, and meanwhile the logs.
async fn news(
    client: &Client,
    seen: &TransactionDetail,
    teller: &mut Teller,
) -> Result<TransactionDetail, WireError> {
    let mut news = std::pin::pin!(client.news(seen, NEWS));
    loop {
        tokio::select! {
            news = &mut news => return news,
            () = sleep(EVERY) => {}
        }
        teller.logs(client, seen).await;
    }
}

/// How a verb ends with a transaction that has ended; says why unless all is well.
pub(crate) fn ended(detail: &TransactionDetail, options: &ManagerOptions) -> Result<(), Ending> {
    let t = &detail.transaction;
    let mut message = format!("{}: {}", t.transaction, t.status.as_str());
    if let Some(why) = &t.why {
        message.push_str(&format!(": {}", one_line(why)));
    }
    let (id, again) = (&t.transaction, options.again());
    let error = Diagnostic::error(message);
    let history = format!("`windlass history {id}{again}` says more");
    match t.status {
        Status::Started | Status::BuildCompleted | Status::InstallCompleted => Ok(()),
        Status::Rejected => Err(error.into()),
        Status::BuildFailed | Status::InstallFailed | Status::Cancelled => {
            say(&error.hint(history).to_string());
            Err(Ending::Failed)
        }
        Status::Unknown => {
            let unknown = detail
                .jobs
                .iter()
                .find(|job| job.state == JobState::Unknown);
            let hint = unknown.map_or(history, |job| {
                let job = &job.job;
                format!(
                    "look there, then `windlass settle {id} {job} --done|--failed|--again{again}`"
                )
            });
            say(&error.hint(hint).to_string());
            Err(Ending::Unknown)
        }
    }
}

/// Says what is new, once.
struct Teller {
    told: Told,
    id: TransactionId,
    status: Option<Status>,
    jobs: BTreeMap<JobId, Followed>,
    is_away: bool,
}

impl Teller {
    fn new(told: Told, id: &TransactionId) -> Self {
        Self {
            told,
            id: id.clone(),
            status: None,
            jobs: BTreeMap::new(),
            is_away: false,
        }
    }

    fn tell(&mut self, seen: &TransactionDetail) {
        self.is_away = false;
        for job in &seen.jobs {
            let followed = self.jobs.entry(job.job.clone()).or_default();
            followed.name = named(job);
            if followed.state == Some(job.state) {
                continue;
            }
            followed.state = Some(job.state);
            if matches!(job.state, JobState::Queued | JobState::Leased) {
                // Whoever begins it again begins a new log.
                (followed.next, followed.ended) = (0, false);
            }
            let mut text = format!("[{}] {}", named(job), job.state.as_str());
            if let Some(result) = &job.result {
                text.push_str(&format!(": {}", one_line(result)));
            }
            let value = json!({"job": job.job, "kind": job.kind.as_str(), "target": job.target, "agent": job.agent,
                "state": job.state, "result": job.result});
            self.say(&text, value);
        }
        let status = seen.transaction.status;
        if self.status != Some(status) {
            self.status = Some(status);
            self.say(
                &format!("{}: {}", self.id, status.as_str()),
                json!({"status": status}),
            );
        }
    }

    fn away(&mut self, error: &WireError) {
        if !self.is_away {
            self.is_away = true;
            let text = format!("warning: the manager is away, and asked again: {error}");
            self.say(&text, json!({"away": error.to_string()}));
        }
    }

    /// Reads on in the logs of the jobs that were begun. What cannot be read now is read the next time.
    async fn logs(&mut self, client: &Client, seen: &TransactionDetail) {
        if self.told == Told::Nothing {
            return;
        }
        for job in &seen.jobs {
            let is_begun = !matches!(job.state, JobState::Queued | JobState::Leased);
            if is_begun {
                self.log(client, job).await;
            }
        }
    }

    async fn log(&mut self, client: &Client, job: &JobView) {
        for _ in 0..PARTS {
            let followed = self.jobs.entry(job.job.clone()).or_default();
            if followed.ended {
                return;
            }
            let Ok(part) = client.log(&self.id, &job.job, followed.next).await else {
                return;
            };
            followed.ended = part.ended;
            let is_all = part.text.is_empty();
            followed.next = part.next;
            let lines = followed.take(&part.text);
            for line in lines {
                self.line(&named(job), &job.job, &line);
            }
            if is_all {
                return;
            }
        }
    }

    /// Lines that never ended.
    fn rest(&mut self) {
        let jobs = std::mem::take(&mut self.jobs);
        for (job, followed) in jobs.into_iter().filter(|(_, f)| !f.line.is_empty()) {
            self.line(&followed.name, &job, &followed.line);
        }
    }

    fn line(&self, name: &str, job: &JobId, line: &str) {
        let hidden = |c: char| if c.is_control() && c != '\t' { '?' } else { c };
        let shown: String = line.chars().map(hidden).collect();
        self.say(
            &format!("[{name}] {shown}"),
            json!({"job": job, "log": line}),
        );
    }

    fn say(&self, text: &str, mut value: Value) {
        match self.told {
            Told::Nothing => {}
            Told::Text => say(&format!("{text}\n")),
            Told::Json => {
                if let Value::Object(map) = &mut value {
                    map.insert("transaction".into(), self.id.to_string().into());
                }
                say(&format!("{value}\n"));
            }
        }
    }
}

/// A job, shortly: `build`, `web@installer1`.
fn named(job: &JobView) -> String {
    let agent = job.agent.as_ref();
    let agent = agent.map_or_else(String::new, |agent| format!("@{agent}"));
    match &job.target {
        Some(target) => format!("{target}{agent}"),
        None => format!("{}{agent}", job.kind.as_str()),
    }
}

/// How far a job was told of.
#[derive(Debug, Default)]
struct Followed {
    name: String,
    state: Option<JobState>,
    /// Where the log goes on, in bytes.
    next: u64,
    ended: bool,
    /// The beginning of a line.
    line: String,
}

impl Followed {
    /// The lines that are whole with this part.
    fn take(&mut self, part: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for piece in part.split_inclusive('\n') {
            self.line.push_str(piece);
            if self.line.ends_with('\n') || self.line.len() > LONGEST_LINE {
                let line = std::mem::take(&mut self.line);
                lines.push(line.trim_end_matches(['\r', '\n']).to_owned());
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole() {
        let mut followed = Followed::default();
        assert_eq!(followed.take("a\nb"), ["a"]);
        assert!(followed.take("c").is_empty());
        assert_eq!(followed.take("d\r\n\ne"), ["bcd", ""]);
        assert_eq!(followed.line, "e");
        assert_eq!(followed.take(&"x".repeat(LONGEST_LINE)).len(), 1);
    }
}
