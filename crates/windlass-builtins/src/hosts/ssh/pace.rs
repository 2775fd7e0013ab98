//! Keeps short what is on its way to a program.
//!
//! What a program has not taken yet lies in sshd's buffer, which OpenSSH copies whole each time that more arrives: with the 2 MiB on
//! their way that its window lets through, sshd takes more time for that than for all else. A few hundred KiB keep a program as
//! busy, where the link is short. Where it is long, more must be on its way. How long it is the opening of the channel tells, and where
//! that took long the server is asked for a sign of life now and then: it answers that itself, however slow the program is.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use tokio::io::AsyncWrite;
use tokio::time::Sleep;

/// The least that may be on its way, in bytes: sshd says what was taken after 96 KiB, and a pipe holds 64.
const LEAST: u64 = 256 * 1024;
/// How long a link is, there and back, on which that is enough; for each time more that it takes as much more may be on its way.
const SHORT: Duration = Duration::from_millis(1);
/// After so many bytes the server is asked again, for what it has to do may make a link seem longer than it is...
const AGAIN: u64 = 1024 * 1024;
/// ...and at most so often.
const ASKED: u32 = 32;
/// After so long without a word about what was taken more may be on its way: the server says it late.
const SILENCE: Duration = Duration::from_millis(250);

/// How much may be on its way, and how much is.
struct Pace {
    /// How much may be on a short link.
    least: u64,
    /// The shortest time that the server took to answer.
    trip: Duration,
    /// How often it was asked, and whether it has not answered yet.
    asked: u32,
    is_asked: bool,
    /// Bytes written since then.
    since: u64,
    /// How much is on its way, as far as is known: what waits in this process when the window is told is left out.
    away: u64,
    /// The largest window that was told: the one with nothing on its way.
    full: u64,
}

impl Pace {
    fn new(trip: Duration) -> Self {
        Self {
            least: LEAST,
            trip,
            asked: 0,
            is_asked: false,
            since: 0,
            away: 0,
            full: 0,
        }
    }

    /// Whether more may be written now.
    fn has_room(&self) -> bool {
        let times = self.trip.as_micros() / SHORT.as_micros() + 1;
        u128::from(self.away) < u128::from(self.least) * times
    }

    fn wrote(&mut self, bytes: u64) {
        self.away += bytes;
        self.since += bytes;
    }

    /// The other side says how much it would take.
    fn window(&mut self, size: u64) {
        self.full = self.full.max(size);
        self.away = self.full - size;
    }

    /// Whether to ask the server for a sign of life.
    fn asks(&mut self) -> bool {
        let may = self.trip >= SHORT && self.asked < ASKED && !self.is_asked;
        let asks = may && self.since >= AGAIN;
        if asks {
            (self.asked, self.is_asked, self.since) = (self.asked + 1, true, 0);
        }
        asks
    }

    /// It answered after this time.
    fn answered(&mut self, time: Duration) {
        self.is_asked = false;
        self.trip = self.trip.min(time);
    }

    /// Nothing was said for long.
    fn silent(&mut self) {
        self.least = self.least.saturating_mul(2);
    }
}

/// What the writer and the reader of a channel share.
struct Shared {
    pace: Pace,
    waiting: Option<Waker>,
}

fn locked(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Changes the pace, and has a write that waits look again.
fn change(shared: &Mutex<Shared>, change: impl FnOnce(&mut Pace)) {
    let mut shared = locked(shared);
    change(&mut shared.pace);
    if let Some(waker) = shared.waiting.take() {
        waker.wake();
    }
}

/// Writes to a channel at its pace.
pub(super) struct Paced<W, A> {
    inner: W,
    /// Makes a request that the server answers itself.
    ask: A,
    shared: Arc<Mutex<Shared>>,
    /// While a write waits.
    silence: Option<Pin<Box<Sleep>>>,
}

/// Hears what the other side says of the window.
pub(super) struct Window(Arc<Mutex<Shared>>);

/// A writer to a channel that took so long to open, and what is to be told of its window. `ask` gives what waits for an answer of the
/// server itself.
pub(super) fn paced<W, A, F>(inner: W, trip: Duration, ask: A) -> (Paced<W, A>, Window)
where
    A: Fn() -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let shared = Arc::new(Mutex::new(Shared {
        pace: Pace::new(trip),
        waiting: None,
    }));
    let window = Window(shared.clone());
    let paced = Paced {
        inner,
        ask,
        shared,
        silence: None,
    };
    (paced, window)
}

impl Window {
    /// What the other side would take now, in bytes.
    pub(super) fn is(&self, size: u32) {
        change(&self.0, |pace| pace.window(u64::from(size)));
    }
}

impl Drop for Window {
    /// Nobody will be told: the channel itself says that it is closed.
    fn drop(&mut self) {
        change(&self.0, |pace| pace.least = u64::MAX);
    }
}

impl<W, A, F> Paced<W, A>
where
    A: Fn() -> F,
    F: Future<Output = ()> + Send + 'static,
{
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut shared = locked(&self.shared);
            if shared.pace.has_room() {
                self.silence = None;
                return Poll::Ready(());
            }
            shared.waiting = Some(cx.waker().clone());
            drop(shared);
            let sleep = || Box::pin(tokio::time::sleep(SILENCE));
            ready!(self.silence.get_or_insert_with(sleep).as_mut().poll(cx));
            self.silence = None;
            locked(&self.shared).pace.silent();
        }
    }
}

impl<W, A, F> AsyncWrite for Paced<W, A>
where
    W: AsyncWrite + Unpin,
    A: Fn() -> F + Unpin,
    F: Future<Output = ()> + Send + 'static,
{
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_room(cx));
        let written = ready!(Pin::new(&mut self.inner).poll_write(cx, bytes))?;
        let mut shared = locked(&self.shared);
        shared.pace.wrote(written as u64);
        if shared.pace.asks() {
            let (answer, shared) = ((self.ask)(), self.shared.clone());
            tokio::spawn(async move {
                let asked = Instant::now();
                answer.await;
                change(&shared, |pace| pace.answered(asked.elapsed()));
            });
        }
        drop(shared);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use tokio::io::AsyncWriteExt;

    use super::*;

    const WINDOW: u64 = 2 << 20;
    const PACKET: u64 = 32 << 10;

    /// A link, a server and a program that takes what is sent. Times are in microseconds.
    struct Simulated {
        /// There and back.
        trip: u64,
        /// How long opening the channel takes.
        open: u64,
        /// How long the program needs for a packet; for one in eight ten times as long.
        packet: u64,
        /// The server says what was taken when it is more than this.
        says_after: u64,
    }

    /// What came of it.
    struct Came {
        time: u64,
        /// The most that was on its way in the second half.
        most: u64,
        asked: u32,
    }

    impl Simulated {
        /// Sends so many bytes.
        fn send(&self, bytes: u64) -> Came {
            let mut pace = Pace::new(Duration::from_micros(self.open));
            pace.window(WINDOW);
            let (mut now, mut window, mut sent, mut taken, mut told) = (0, WINDOW, 0, 0, 0);
            let (mut free_at, mut silent_since, mut most) = (0, 0, 0);
            // when packets are taken, when it is heard how many bytes more may be sent, and when an answer comes that took how long
            let (mut takings, mut words) = (VecDeque::new(), VecDeque::new());
            let mut answer = None;
            while taken < bytes {
                while sent < bytes && window >= PACKET && pace.has_room() {
                    pace.wrote(PACKET);
                    if pace.asks() {
                        // the server has other things to do every other time
                        let busy = if pace.asked.is_multiple_of(2) {
                            0
                        } else {
                            3_000
                        };
                        answer = Some((now + self.trip + busy, self.trip + busy));
                    }
                    (sent, window) = (sent + PACKET, window - PACKET);
                    let slow = if (sent / PACKET).is_multiple_of(8) {
                        10
                    } else {
                        1
                    };
                    free_at = (now + self.trip / 2).max(free_at) + self.packet * slow;
                    takings.push_back(free_at);
                    silent_since = now;
                }
                if sent > bytes / 2 {
                    most = most.max(sent - taken);
                }
                let silence = match pace.has_room() {
                    true => u64::MAX,
                    false => silent_since + SILENCE.as_micros() as u64,
                };
                let taking = takings.front().copied().unwrap_or(u64::MAX);
                let word = words.front().map_or(u64::MAX, |(at, _)| *at);
                let answered = answer.map_or(u64::MAX, |(at, _)| at);
                now = taking.min(word).min(answered).min(silence);
                if now == answered {
                    let (_, time) = answer.take().unwrap();
                    pace.answered(Duration::from_micros(time));
                } else if now == silence {
                    silent_since = now;
                    pace.silent();
                } else if now == taking {
                    takings.pop_front();
                    taken += PACKET;
                    if taken - told > self.says_after {
                        words.push_back((now + self.trip / 2, taken - told));
                        told = taken;
                    }
                } else if let Some((_, more)) = words.pop_front() {
                    window += more;
                    pace.window(window);
                    silent_since = now;
                }
            }
            Came {
                time: now,
                most,
                asked: pace.asked,
            }
        }
    }

    #[test]
    fn a_short_link_has_little_on_its_way() {
        for trip in [50, 200, 900] {
            let link = Simulated {
                trip,
                open: 20_000,
                packet: 200,
                says_after: 3 * PACKET,
            };
            let came = link.send(64 << 20);
            assert!(came.most <= LEAST + PACKET, "{trip} us: {}", came.most);
            // one answer that took less than a millisecond is enough
            assert_eq!(came.asked, 2);
        }
    }

    #[test]
    fn a_long_link_is_as_fast_as_its_window_lets_it() {
        for trip in [2_000, 5_000, 20_000, 100_000, 400_000] {
            let link = Simulated {
                trip,
                open: trip + 1_000,
                packet: 80,
                says_after: 3 * PACKET,
            };
            let bytes = 64 << 20;
            let came = link.send(bytes);
            // what the program needs, or what the window lets through
            let least = (bytes / PACKET * 80 * 17 / 8).max(bytes / WINDOW * trip);
            let limit = least * 3 / 2 + 2 * trip;
            assert!(came.time < limit, "{trip} us: {}, {least}", came.time);
            assert!(came.asked <= ASKED);
        }
    }

    #[test]
    fn a_server_that_says_late_what_it_took_is_served() {
        let link = Simulated {
            trip: 200,
            open: 400,
            packet: 200,
            says_after: WINDOW / 2,
        };
        let came = link.send(64 << 20);
        // a few silences in all
        let program = (64 << 20) / PACKET * 200 * 17 / 8;
        assert!(
            came.time < program + 4 * SILENCE.as_micros() as u64,
            "{}",
            came.time
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_waits_for_word_or_for_the_end_of_the_channel() {
        let never = || std::future::pending::<()>();
        let (mut writer, window) = paced(tokio::io::sink(), Duration::ZERO, never);
        let began = tokio::time::Instant::now();
        writer.write_all(&vec![0; LEAST as usize]).await.unwrap();
        assert_eq!(began.elapsed(), Duration::ZERO);
        window.is(WINDOW as u32);
        writer.write_all(&vec![0; LEAST as usize]).await.unwrap();
        assert_eq!(began.elapsed(), Duration::ZERO);
        // nobody says a word: as much again goes on its way
        writer.write_all(&vec![0; LEAST as usize]).await.unwrap();
        assert!(began.elapsed() >= SILENCE);
        let waiting = tokio::spawn(async move { writer.write_all(b"more").await });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(window);
        let began = tokio::time::Instant::now();
        waiting.await.unwrap().unwrap();
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_comes_soon_is_the_last_that_is_asked_for() {
        let asked = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let count = asked.clone();
        let answer = move || {
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            async {}
        };
        let (mut writer, window) = paced(tokio::io::sink(), Duration::from_millis(100), answer);
        for _ in 0..8 {
            writer.write_all(&vec![0; 1 << 20]).await.unwrap();
            window.is(WINDOW as u32);
            tokio::task::yield_now().await;
        }
        assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 1);
    }
}
