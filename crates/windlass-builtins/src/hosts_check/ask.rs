//! One conversation with a host.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use windlass_engine::host::{Batch, Conversation, Heard, HostError, HostErrorKind, Hosts};
use windlass_model::ids::{HostName, TaskId};
use windlass_model::step::{Reply, Step};

/// How long a host may take, the connection included and sockets not.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a socket may take.
const SOCKET: Duration = Duration::from_secs(10);

/// What was heard of a host.
#[derive(Clone, Debug, Default)]
pub(super) struct HeardOf {
    /// Replies to the first steps.
    pub(super) replies: Vec<Reply>,
    /// Why there are no more, and at which step (`None`: there was no conversation).
    pub(super) error: Option<(HostError, Option<usize>)>,
    /// When the steps were sent, and when the first reply came: seconds since 1970.
    pub(super) between: (i64, i64),
}

/// Sends the steps together and hears their replies.
pub(super) async fn ask(hosts: &dyn Hosts, host: &HostName, steps: &[Step]) -> HeardOf {
    let sockets = steps.iter().filter(|s| matches!(s, Step::Dial(_))).count();
    let sockets = u32::try_from(sockets).unwrap_or(u32::MAX);
    let limit = PATIENCE.saturating_add(SOCKET.saturating_mul(sockets));
    let begun = tokio::time::Instant::now();
    let mut heard = HeardOf::default();
    let talk = match tokio::time::timeout(limit, hosts.converse(host, None)).await {
        Ok(Ok(talk)) => talk,
        Ok(Err(error)) => {
            heard.error = Some((error, None));
            return heard;
        }
        Err(_) => {
            heard.error = Some((late(limit), None));
            return heard;
        }
    };
    let mut talk = talk;
    let rest = limit.saturating_sub(begun.elapsed());
    let spoken = tokio::time::timeout(rest, speak(talk.as_mut(), steps, &mut heard)).await;
    match spoken {
        Ok(Ok(())) => talk.close().await,
        Ok(Err(error)) => heard.error = Some((error, Some(heard.replies.len()))),
        Err(_) => {
            talk.kill().await;
            heard.error = Some((late(limit), Some(heard.replies.len())));
        }
    }
    heard
}

async fn speak(
    talk: &mut dyn Conversation,
    steps: &[Step],
    heard: &mut HeardOf,
) -> Result<(), HostError> {
    heard.between.0 = now();
    let batch = Batch {
        task: TaskId::new(0, 0, 0),
        steps: steps.to_vec(),
        ahead: false,
        keep: None,
    };
    talk.send(batch, &Arc::default()).await?;
    while heard.replies.len() < steps.len() {
        if let Heard::Reply(_, reply) = talk.hear().await? {
            if heard.replies.is_empty() {
                heard.between.1 = now();
            }
            let goes_on = steps
                .get(heard.replies.len())
                .is_some_and(|step| reply.is_wanted(step));
            heard.replies.push(reply);
            if !goes_on {
                break;
            }
        }
    }
    Ok(())
}

fn late(limit: Duration) -> HostError {
    let message = format!("no answer within {} s", limit.as_secs());
    HostError::new(HostErrorKind::Lost, message)
}

fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or_default()
}
