//! Watches what a job uses, and stops it when that is too much.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::task::JoinHandle;
use windlass_engine::events::Sink;
use windlass_engine::interrupt::{Interrupt, Interrupter, interrupt};
use windlass_model::event::{Event, What};

use super::Limits;

/// How often the disk is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Stops a job: because somebody wants it to, or because it uses too much.
pub(super) struct Guard {
    stopper: Arc<Stopper>,
    interrupt: Interrupt,
    watchers: Vec<JoinHandle<()>>,
}

/// Kills what runs, once, and says why.
pub(super) struct Stopper {
    asks: Interrupter,
    why: OnceLock<String>,
}

impl Stopper {
    fn stop(&self, why: String) {
        if self.why.set(why).is_ok() {
            self.asks.again();
            self.asks.again();
        }
    }
}

impl Guard {
    /// Watches the clock, `directory`, and the operator.
    pub(super) fn start(limits: Limits, directory: PathBuf, mut operator: Interrupt) -> Self {
        let (asks, interrupt) = interrupt();
        let stopper = Arc::new(Stopper {
            asks,
            why: OnceLock::new(),
        });
        let clock = stopper.clone();
        let time = tokio::spawn(async move {
            tokio::time::sleep(limits.time).await;
            let seconds = limits.time.as_secs();
            clock.stop(format!(
                "it took longer than {seconds} s, which is its limit"
            ));
        });
        let disk = tokio::spawn(watch_disk(stopper.clone(), directory, limits.disk));
        let passed_on = stopper.clone();
        let asked = tokio::spawn(async move {
            for times in 1..=2 {
                operator.reached(times).await;
                passed_on.asks.again();
            }
        });
        Self {
            stopper,
            interrupt,
            watchers: vec![time, disk, asked],
        }
    }

    /// What the executor listens to.
    pub(super) fn interrupt(&self) -> Interrupt {
        self.interrupt.clone()
    }

    /// Sinks that are told no more than `output` bytes of what programs print.
    pub(super) fn bounded(&self, output: u64, sinks: Vec<Box<dyn Sink>>) -> Box<dyn Sink> {
        Box::new(Bounded {
            sinks,
            limit: output,
            seen: AtomicU64::new(0),
            stopper: self.stopper.clone(),
        })
    }

    /// Which limit was exceeded, if one was.
    pub(super) fn exceeded(&self) -> Option<&str> {
        self.stopper.why.get().map(String::as_str)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        for watcher in &self.watchers {
            watcher.abort();
        }
    }
}

async fn watch_disk(stopper: Arc<Stopper>, directory: PathBuf, limit: u64) {
    loop {
        tokio::time::sleep(LOOK).await;
        let looked_at = directory.clone();
        let size = tokio::task::spawn_blocking(move || crate::scratch::size(&looked_at)).await;
        if size.is_ok_and(|size| size > limit) {
            stopper.stop(format!(
                "it needs more than {limit} bytes of disk, which is its limit"
            ));
            return;
        }
    }
}

/// Passes events on, without the output beyond a limit.
struct Bounded {
    sinks: Vec<Box<dyn Sink>>,
    limit: u64,
    seen: AtomicU64,
    stopper: Arc<Stopper>,
}

impl Bounded {
    fn admits(&self, event: &Event) -> bool {
        let What::Output { line, .. } = &event.what else {
            return true;
        };
        let bytes = line.len() as u64 + 1;
        let seen = self.seen.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if seen > self.limit {
            let limit = self.limit;
            self.stopper.stop(format!(
                "it printed more than {limit} bytes, which is its limit"
            ));
        }
        seen <= self.limit
    }
}

impl Sink for Bounded {
    fn accept(&mut self, events: &[Event]) -> std::io::Result<()> {
        let admitted: Vec<Event> = events.iter().filter(|e| self.admits(e)).cloned().collect();
        self.sinks
            .iter_mut()
            .try_for_each(|sink| sink.accept(&admitted))
    }

    fn finish(&mut self) -> std::io::Result<()> {
        self.sinks.iter_mut().try_for_each(|sink| sink.finish())
    }
}
