//! Asks hosts which versions run there: one conversation a host, many hosts at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use windlass_engine::executor::{Standing, probe_script, read_probe};
use windlass_engine::host::{Batch, Heard, HostError, HostErrorKind, Hosts};
use windlass_model::ids::{HostName, TaskId};
use windlass_model::step::Reply;

/// Hosts that are asked at once.
const ASKED_AT_ONCE: usize = 32;
/// How long a host may take, the connection included.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a host is asked: `(install_location, service)`.
pub(super) type Question = Vec<(String, String)>;

/// Asks every host; answers come in no particular order. Changes nothing on them.
pub(super) async fn ask(
    hosts: &Arc<dyn Hosts>,
    user: Option<&str>,
    questions: BTreeMap<HostName, Question>,
) -> Vec<(HostName, Result<BTreeMap<String, Standing>, HostError>)> {
    // An owned user and host in each future: borrowed ones would tie their lifetimes to the closure.
    let asked = questions.into_iter().map(|(host, question)| {
        let (hosts, user) = (hosts.clone(), user.map(str::to_owned));
        async move {
            let talk = ask_one(&*hosts, &host, user.as_deref(), &question);
            let answer = tokio::time::timeout(PATIENCE, talk).await;
            let late = format!("no answer within {} s", PATIENCE.as_secs());
            let answer = answer.unwrap_or_else(|_| Err(HostError::new(HostErrorKind::Lost, late)));
            (host, answer)
        }
    });
    stream::iter(asked)
        .buffer_unordered(ASKED_AT_ONCE)
        .collect()
        .await
}

async fn ask_one(
    hosts: &dyn Hosts,
    host: &HostName,
    user: Option<&str>,
    question: &Question,
) -> Result<BTreeMap<String, Standing>, HostError> {
    let mut talk = hosts.converse(host, user).await?;
    let pairs = question
        .iter()
        .map(|(place, service)| (place.as_str(), service.as_str()));
    let batch = Batch {
        task: TaskId::new(0, 0, 0),
        steps: vec![probe_script(pairs).into()],
        ahead: false,
        keep: None,
    };
    talk.send(batch, &Arc::default()).await?;
    let reply = loop {
        if let Heard::Reply(_, reply) = talk.hear().await? {
            break reply;
        }
    };
    talk.close().await;
    match reply {
        Reply::Ran {
            status: 0, stdout, ..
        } => Ok(read_probe(&stdout)),
        Reply::Ran { status, stderr, .. } => {
            let message = format!(
                "the question ended with exit status {status}: {}",
                stderr.trim()
            );
            Err(HostError::new(HostErrorKind::Shell, message))
        }
        Reply::Impossible(why) => Err(HostError::new(HostErrorKind::Shell, why)),
        _ => Err(HostError::new(
            HostErrorKind::Shell,
            "an answer to something else",
        )),
    }
}
