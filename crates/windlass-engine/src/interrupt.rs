//! The operator's wish to stop: once gently, twice at once.

use tokio::sync::watch;

/// Counts requests to stop. Cloneable.
#[derive(Clone, Debug)]
pub struct Interrupt(watch::Receiver<u8>);

/// The other end: whoever hears the signals.
#[derive(Debug)]
pub struct Interrupter(watch::Sender<u8>);

/// A fresh pair.
pub fn interrupt() -> (Interrupter, Interrupt) {
    let (sender, receiver) = watch::channel(0);
    (Interrupter(sender), Interrupt(receiver))
}

impl Interrupter {
    /// Once more. After the second it changes nothing.
    pub fn again(&self) {
        self.0.send_modify(|n| *n = n.saturating_add(1).min(2));
    }

    /// Whether it was asked for at all.
    pub fn is_used(&self) -> bool {
        *self.0.borrow() > 0
    }
}

impl Interrupt {
    /// How often so far: 0, 1 or 2.
    pub fn times(&self) -> u8 {
        *self.0.borrow()
    }

    /// Waits until it was asked at least `times`; for ever when nobody can ask any more. Cancel-safe.
    pub async fn reached(&mut self, times: u8) {
        if self.0.wait_for(|n| *n >= times).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
