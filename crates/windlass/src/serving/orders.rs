//! Who tells a service what to do: the process's signals, or a handle in this process.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::ending::Ending;

/// Orders that wait; more of them are not taken, since each is one of what waits already.
const WAITING: usize = 8;

/// What a service is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// To finish what it answers, and end.
    Stop,
    /// To read its files again.
    Reload,
}

/// What a service is asked to do, as it comes.
pub(crate) struct Orders(mpsc::Receiver<Asked>);

/// Stops a service; also when it is dropped.
pub(crate) struct Handle(mpsc::Sender<Asked>);

impl Orders {
    /// The process's signals: SIGINT and SIGTERM stop, SIGHUP reloads.
    pub(crate) fn of_signals() -> Result<Self, Ending> {
        let wrong = |e| Ending::own("signals cannot be heard", e);
        let mut interrupt = signal(SignalKind::interrupt()).map_err(wrong)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(wrong)?;
        let mut hang_up = signal(SignalKind::hangup()).map_err(wrong)?;
        let (sender, orders) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            loop {
                let asked = tokio::select! {
                    _ = interrupt.recv() => Asked::Stop,
                    _ = terminate.recv() => Asked::Stop,
                    _ = hang_up.recv() => Asked::Reload,
                    () = sender.closed() => return,
                };
                // One that finds no room is among those that wait.
                let _ = sender.try_send(asked);
            }
        });
        Ok(Self(orders))
    }

    /// Those of a handle.
    pub(crate) fn of_handle() -> (Handle, Self) {
        let (sender, orders) = mpsc::channel(WAITING);
        (Handle(sender), Self(orders))
    }

    /// The next one; a handle that is gone stops.
    pub(crate) async fn next(&mut self) -> Asked {
        self.0.recv().await.unwrap_or(Asked::Stop)
    }
}

impl Handle {
    /// Asks it to stop. It does so in its own time.
    pub(crate) fn stop(self) {
        let _ = self.0.try_send(Asked::Stop);
    }
}

/// How a service runs.
pub(crate) struct Manner {
    /// Who tells it what to do.
    pub(crate) orders: Orders,
    /// Whether its log goes to standard error, too.
    pub(crate) aloud: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_handle_stops_when_asked_and_when_dropped() {
        let (handle, mut orders) = Orders::of_handle();
        handle.stop();
        assert_eq!(orders.next().await, Asked::Stop);
        let (handle, mut orders) = Orders::of_handle();
        drop(handle);
        assert_eq!(orders.next().await, Asked::Stop);
    }
}
