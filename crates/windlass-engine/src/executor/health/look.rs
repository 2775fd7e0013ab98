//! One look at the hosts of a service: all are asked at once.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::time::Instant;
use windlass_model::ids::HostName;
use windlass_model::outcome::Outcome;
use windlass_model::step::{Reply, Step};

use crate::availability::Watched;
use crate::command::{Facts, Seen, Turn};
use crate::executor::Options;
use crate::executor::job::{Target, rights, target_of, user_of, with_rights};
use crate::executor::prepare::{PreparedTask, QUESTION};
use crate::host::{Batch, Conversation, Heard, HostError};

/// Hosts that are asked at once.
const AT_ONCE: usize = 32;
/// How long one answer may take, beyond the connection.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why a host is not healthy; `None` when it is.
pub(super) type Health = Option<String>;

/// What the hosts of a service said.
#[derive(Clone)]
pub(super) struct Look {
    pub(super) began: Instant,
    /// How often hosts had come back when it began.
    pub(super) changes: u64,
    /// By the number of the host; those that were out were not asked.
    pub(super) health: BTreeMap<usize, Health>,
}

impl Look {
    /// Why a host is not healthy; `None` when it is, or was not asked.
    pub(super) fn broken(&self, host: usize) -> Option<&str> {
        self.health.get(&host)?.as_deref()
    }
}

/// A step for a host. Equal ones are asked once: servers of one load balancer share an answer.
struct Question {
    step: Step,
    reply: Option<Reply>,
}

/// Asks these hosts of a service. Changes nothing on them.
pub(super) async fn ask(
    service: &Watched,
    asked: &[usize],
    options: &Options,
) -> BTreeMap<usize, Health> {
    let tasks: Vec<(usize, &PreparedTask)> = asked
        .iter()
        .filter_map(|h| Some((*h, service.hosts.get(*h)?)))
        .flat_map(|(h, host)| host.ask.iter().map(move |task| (h, task)))
        .collect();
    let mut questions: BTreeMap<Target, Vec<Question>> = BTreeMap::new();
    for (_, task) in &tasks {
        for (target, step) in first_steps(task, options) {
            let there = questions.entry(target).or_default();
            if there.iter().all(|question| question.step != step) {
                there.push(Question { step, reply: None });
            }
        }
    }
    let answered = questions.into_iter().map(|(target, questions)| {
        let options = options.clone();
        async move {
            let answers = ask_one(&target, questions, &options).await;
            (target, answers)
        }
    });
    let answers: BTreeMap<Target, (Vec<Question>, Option<String>)> = stream::iter(answered)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut health: BTreeMap<usize, Health> = asked.iter().map(|h| (*h, None)).collect();
    for (h, task) in tasks {
        if let Some(why) = complaint(task, &answers, options)
            && let Some(health) = health.get_mut(&h)
        {
            health.get_or_insert(why);
        }
    }
    health
}

/// What a task asks first, and whom.
fn first_steps(task: &PreparedTask, options: &Options) -> Vec<(Target, Step)> {
    let home = (task.host.clone(), user_of(task, options));
    let steps = match task.code.turn(&facts(task, options), &[]) {
        Turn::Do(steps) | Turn::Last(steps) => steps,
        Turn::Wait { .. } | Turn::Call(_) | Turn::End(_) => Vec::new(),
    };
    let rights = rights(task);
    steps
        .into_iter()
        .map(|step| (target_of(&step, &home), with_rights(step, &rights)))
        .collect()
}

fn facts(task: &PreparedTask, options: &Options) -> Facts {
    Facts {
        run: options.run.clone(),
        task: QUESTION,
        host: task.host.clone(),
        now: crate::events::now_micros() / 1_000_000,
        user: rights(task),
    }
}

/// Why a task is not content with the answers to its first steps. One that would wait is not.
fn complaint(
    task: &PreparedTask,
    answers: &BTreeMap<Target, (Vec<Question>, Option<String>)>,
    options: &Options,
) -> Option<String> {
    let mut seen = Vec::new();
    for (target, step) in first_steps(task, options) {
        let (questions, lost) = answers.get(&target)?;
        let reply = questions.iter().find(|q| q.step == step)?.reply.clone();
        let Some(reply) = reply else {
            return Some(lost.clone().unwrap_or_else(|| "no answer".into()));
        };
        let is_wanted = reply.is_wanted(&step);
        seen.push(Seen {
            reply,
            at: Duration::ZERO,
        });
        if !is_wanted {
            break;
        }
    }
    match task.code.turn(&facts(task, options), &seen) {
        Turn::End(verdict) if verdict.outcome.lets_go_on() => None,
        Turn::End(verdict) => Some(match verdict.outcome {
            Outcome::Failed(failure) => failure.message,
            other => other.to_string(),
        }),
        _ => Some(match seen.last().map(|seen| &seen.reply) {
            Some(Reply::Http { status, .. }) => format!("its check answers with status {status}"),
            Some(Reply::Ran { status, .. }) => format!("its check ends with exit status {status}"),
            Some(Reply::Impossible(why)) => format!("its check fails: {why}"),
            _ => "its check does not pass".into(),
        }),
    }
}

/// Asks one host; what it did not answer stays open, with the reason.
async fn ask_one(
    (host, user): &(HostName, Option<String>),
    mut questions: Vec<Question>,
    options: &Options,
) -> (Vec<Question>, Option<String>) {
    let mut talk = match options.hosts.converse(host, user.as_deref()).await {
        Ok(talk) => talk,
        Err(error) => return (questions, Some(error.to_string())),
    };
    for question in &mut questions {
        let answer = answer(talk.as_mut(), &question.step, options);
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(reply)) => question.reply = Some(reply),
            Ok(Err(error)) => return (questions, Some(error.to_string())),
            Err(_) => {
                talk.kill().await;
                let late = format!("no answer within {} s", PATIENCE.as_secs());
                return (questions, Some(late));
            }
        }
    }
    talk.close().await;
    (questions, None)
}

async fn answer(
    talk: &mut dyn Conversation,
    step: &Step,
    options: &Options,
) -> Result<Reply, HostError> {
    let batch = Batch {
        task: QUESTION,
        steps: vec![step.clone()],
        ahead: false,
        keep: None,
    };
    talk.send(batch, &options.secrets).await?;
    loop {
        if let Heard::Reply(_, reply) = talk.hear().await? {
            return Ok(reply);
        }
    }
}
