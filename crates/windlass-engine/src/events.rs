//! Events on their way: one dispatcher orders them, takes secrets out, and hands them to every sink.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;
use windlass_model::event::{Event, What};
use windlass_model::ids::HostName;
use windlass_model::outcome::Outcome;
use windlass_model::step::Level;

use crate::secrets::Secrets;

/// Who is told. Sinks are called from one thread, in order of registration; the journal stands first, so nothing is
/// shown that is not recorded.
pub trait Sink: Send {
    /// Events in order. An error ends the run as a failure of Windlass itself.
    fn accept(&mut self, events: &[Event]) -> std::io::Result<()>;
    /// No more will come.
    fn finish(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Events that wait at most; senders wait beyond that.
const BOUND: usize = 4096;

/// Where events are sent. Cloneable; the dispatcher ends with [`Events::end`], or when the last one is dropped.
#[derive(Clone)]
pub struct Events {
    sender: mpsc::Sender<Message>,
    dropped: Arc<AtomicUsize>,
    barriers: Arc<Barriers>,
}

/// Who waits at a barrier: one goes for all that have come by then, as with the disk beneath it.
#[derive(Default)]
struct Barriers {
    /// How many have come to one.
    came: AtomicU64,
    /// How many of them have passed it.
    passed: Mutex<u64>,
}

enum Message {
    Event(Event),
    Secrets(Arc<Secrets>),
    Barrier(oneshot::Sender<()>),
    End,
}

/// Microseconds since 1970, UTC.
pub fn now_micros() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

impl Events {
    /// Starts a dispatcher. The handle gives the first error of a sink, once every [`Events`] is dropped.
    pub fn start(sinks: Vec<Box<dyn Sink>>) -> (Self, JoinHandle<std::io::Result<()>>) {
        let (sender, receiver) = mpsc::channel(BOUND);
        let dropped = Arc::new(AtomicUsize::new(0));
        let handle = tokio::task::spawn_blocking({
            let dropped = dropped.clone();
            move || dispatch(receiver, sinks, &dropped)
        });
        let barriers = Arc::default();
        (
            Self {
                sender,
                dropped,
                barriers,
            },
            handle,
        )
    }

    /// From here on these secrets are taken out of every event.
    pub async fn hide(&self, secrets: Arc<Secrets>) {
        let _ = self.sender.send(Message::Secrets(secrets)).await;
    }

    /// Sends an event that happened now. Waits while the sinks are behind.
    pub async fn send(&self, what: What) {
        let event = Event {
            at: now_micros(),
            what,
        };
        // The dispatcher only goes away after a sink failed, which the run reports at its end.
        let _ = self.sender.send(Message::Event(event)).await;
    }

    /// Waits until every sink has accepted all that was sent before: the journal has it on the disk then. False when a
    /// sink failed. Cancel-safe.
    pub async fn barrier(&self) -> bool {
        let number = self.barriers.came.fetch_add(1, Ordering::SeqCst) + 1;
        let mut passed = self.barriers.passed.lock().await;
        if *passed >= number {
            return true;
        }
        let all = self.barriers.came.load(Ordering::SeqCst);
        let (reached, wait) = oneshot::channel();
        if self.sender.send(Message::Barrier(reached)).await.is_err() {
            return false;
        }
        // On a thread of its own, as any other wait for a disk; the paused clock of a test stands still meanwhile.
        let wait = tokio::task::spawn_blocking(move || wait.blocking_recv().is_ok());
        let is_reached = wait.await.unwrap_or(false);
        if is_reached {
            *passed = all;
        }
        is_reached
    }

    /// Has the dispatcher end once it has told everything that was sent before. What is sent afterwards is lost.
    pub async fn end(&self) {
        let _ = self.sender.send(Message::End).await;
    }

    /// Whether the sinks still listen.
    pub fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// A log line, from where nobody can wait. It is left out, and counted, when the sinks are far behind.
    pub fn log(
        &self,
        level: Level,
        component: &str,
        host: Option<&HostName>,
        tag: Option<&str>,
        message: &str,
    ) {
        let what = What::Log {
            level,
            component: component.to_owned(),
            host: host.cloned(),
            tag: tag.map(str::to_owned),
            message: message.to_owned(),
        };
        let event = Event {
            at: now_micros(),
            what,
        };
        if self.sender.try_send(Message::Event(event)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn dispatch(
    mut receiver: mpsc::Receiver<Message>,
    mut sinks: Vec<Box<dyn Sink>>,
    dropped: &AtomicUsize,
) -> std::io::Result<()> {
    let mut messages = Vec::new();
    let mut secrets: Arc<Secrets> = Arc::default();
    let mut barriers = Vec::new();
    let mut is_open = true;
    while is_open {
        let count =
            tokio::runtime::Handle::current().block_on(receiver.recv_many(&mut messages, 256));
        if count == 0 {
            break;
        }
        let mut events = Vec::with_capacity(count);
        for message in messages.drain(..) {
            match message {
                Message::Event(event) => events.push(masked(event, &secrets)),
                Message::Secrets(new) => secrets = Arc::new(secrets.with(&new)),
                Message::Barrier(reached) => barriers.push(reached),
                Message::End => is_open = false,
            }
        }
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            events.push(Event {
                at: now_micros(),
                what: What::Log {
                    level: Level::Warning,
                    component: "Events".into(),
                    host: None,
                    tag: None,
                    message: format!("{lost} log lines were left out: they came faster than they could be written"),
                },
            });
        }
        for sink in &mut sinks {
            sink.accept(&events)?;
        }
        for reached in barriers.drain(..) {
            // Whoever waited may have gone.
            let _ = reached.send(());
        }
    }
    sinks.iter_mut().try_for_each(|sink| sink.finish())
}

/// The event without the values of secrets.
fn masked(mut event: Event, secrets: &Secrets) -> Event {
    let mask = |text: &mut String| *text = secrets.mask(std::mem::take(text));
    let mask_outcome = |outcome: &mut Outcome| match outcome {
        Outcome::Failed(failure) => mask(&mut failure.message),
        Outcome::Skipped(why) | Outcome::Unknown(why) | Outcome::NotRun(why) => mask(why),
        Outcome::Changed | Outcome::Unchanged => {}
    };
    match &mut event.what {
        What::Output { line, .. } => mask(line),
        // a plugin chooses all three
        What::Log {
            component,
            tag,
            message,
            ..
        } => {
            mask(component);
            if let Some(tag) = tag {
                mask(tag);
            }
            mask(message);
        }
        What::TaskRetried { outcome, .. } => mask_outcome(outcome),
        What::TaskFinished {
            outcome, output, ..
        } => {
            mask_outcome(outcome);
            if let Some(output) = output {
                mask(output);
            }
        }
        _ => {}
    }
    event
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Mutex;

    use windlass_model::{SecretRef, SecretValue};

    use super::*;

    struct Keep(Arc<Mutex<Vec<Event>>>);
    impl Sink for Keep {
        fn accept(&mut self, events: &[Event]) -> std::io::Result<()> {
            self.0.lock().unwrap().extend_from_slice(events);
            Ok(())
        }
    }

    struct Full;
    impl Sink for Full {
        fn accept(&mut self, _: &[Event]) -> std::io::Result<()> {
            Err(std::io::Error::other("no space left"))
        }
    }

    #[tokio::test]
    async fn a_barrier_is_reached_when_all_before_it_was_accepted() {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (events, done) = Events::start(vec![Box::new(Keep(kept.clone()))]);
        for n in 1..=100 {
            events.send(What::Interrupted { times: n }).await;
        }
        assert!(events.barrier().await);
        assert_eq!(kept.lock().unwrap().len(), 100);
        events.end().await;
        done.await.unwrap().unwrap();
        assert!(!events.barrier().await, "nobody listens");
    }

    #[tokio::test]
    async fn whoever_passes_a_barrier_has_all_that_was_sent_before_accepted() {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (events, done) = Events::start(vec![Box::new(Keep(kept.clone()))]);
        let all = (0..200u8).map(|n| {
            let (events, kept) = (events.clone(), kept.clone());
            tokio::spawn(async move {
                let mine = What::Interrupted { times: n };
                events.send(mine.clone()).await;
                assert!(events.barrier().await);
                assert!(kept.lock().unwrap().iter().any(|e| e.what == mine));
            })
        });
        for one in all.collect::<Vec<_>>() {
            one.await.unwrap();
        }
        events.end().await;
        done.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_barrier_is_not_reached_when_a_sink_failed() {
        let (events, done) = Events::start(vec![Box::new(Full)]);
        events.send(What::Interrupted { times: 1 }).await;
        assert!(!events.barrier().await);
        assert!(done.await.unwrap().is_err());
    }

    #[tokio::test]
    async fn secrets_are_taken_out_before_any_sink() {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (events, done) = Events::start(vec![Box::new(Keep(kept.clone()))]);
        let value = SecretValue::new("hunter2".into());
        events
            .hide(Arc::new(Secrets::new(HashMap::from([(
                SecretRef::Env("P".into()),
                value,
            )]))))
            .await;
        events.log(Level::Info, "X", None, None, "the password is hunter2");
        drop(events);
        done.await.unwrap().unwrap();
        let shown = format!("{:?}", kept.lock().unwrap());
        assert!(shown.contains("the password is ***"), "{shown}");
        assert!(!shown.contains("hunter2"));
    }
}
