//! Who is connected, and who goes when there is no room for others.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The connections of a listener.
pub(super) struct Guests {
    /// Connections that one address may have.
    share: usize,
    all: Mutex<All>,
}

#[derive(Default)]
struct All {
    next: u64,
    by_address: HashMap<IpAddr, usize>,
    /// Those that have not asked for anything yet, in the order in which they came.
    silent: BTreeMap<u64, (IpAddr, Arc<Notify>)>,
}

impl All {
    /// The first of the silent ones that is meant goes; gives whether there is one.
    fn dismiss(&mut self, is_meant: impl Fn(&IpAddr) -> bool) -> bool {
        let mut silent = self.silent.iter();
        let found = silent.find(|(_, (address, _))| is_meant(address));
        let Some(number) = found.map(|(number, _)| *number) else {
            return false;
        };
        if let Some((_, leave)) = self.silent.remove(&number) {
            leave.notify_one();
        }
        true
    }
}

impl Guests {
    /// Of a listener that takes so many connections: half of them may be of one address.
    pub(super) fn new(connections: usize) -> Arc<Self> {
        Arc::new(Self {
            share: connections.div_ceil(2),
            all: Mutex::default(),
        })
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection in. Where its address has all that it may have, the oldest of these that has asked for nothing goes; none:
    /// they have all asked for something.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Guest> {
        let address = address.to_canonical();
        let mut all = self.all();
        let count = all.by_address.get(&address).copied().unwrap_or(0);
        if count >= self.share && !all.dismiss(|other| *other == address) {
            return None;
        }
        *all.by_address.entry(address).or_default() += 1;
        let number = all.next;
        all.next += 1;
        let leave = Arc::new(Notify::new());
        all.silent.insert(number, (address, leave.clone()));
        drop(all);
        Some(Guest {
            guests: self.clone(),
            number,
            address,
            leave,
        })
    }

    /// Makes room: the oldest that has asked for nothing goes; gives whether there is one.
    pub(super) fn make_room(&self) -> bool {
        self.all().dismiss(|_| true)
    }
}

/// A connection, until it is dropped.
pub(super) struct Guest {
    guests: Arc<Guests>,
    number: u64,
    address: IpAddr,
    leave: Arc<Notify>,
}

impl Guest {
    /// It has asked for something: it is not sent away any more.
    pub(super) fn asks(&self) {
        self.guests.all().silent.remove(&self.number);
    }

    /// Waits until it has to go. Cancelled by dropping.
    pub(super) async fn is_dismissed(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut all = self.guests.all();
        all.silent.remove(&self.number);
        if let Some(count) = all.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                all.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn is_dismissed(guest: &Guest) -> bool {
        let dismissed = tokio::time::timeout(Duration::from_millis(20), guest.is_dismissed());
        dismissed.await.is_ok()
    }

    #[tokio::test]
    async fn who_asks_for_nothing_goes_first_and_one_address_has_half() {
        let guests = Guests::new(4);
        let near: IpAddr = "127.0.0.1".parse().unwrap();
        let far: IpAddr = "192.0.2.7".parse().unwrap();
        let other = guests.enter(far).unwrap();
        let first = guests.enter(near).unwrap();
        let second = guests.enter("::ffff:127.0.0.1".parse().unwrap()).unwrap();
        assert!(!is_dismissed(&first).await);
        first.asks();
        let third = guests.enter(near).unwrap();
        assert!(is_dismissed(&second).await && !is_dismissed(&first).await);
        drop(second);
        third.asks();
        assert!(guests.enter(near).is_none());
        drop(first);
        let fourth = guests.enter(near).unwrap();
        assert!(!is_dismissed(&other).await);
        assert!(guests.make_room());
        assert!(is_dismissed(&other).await && !is_dismissed(&fourth).await);
        drop((other, third, fourth));
        assert!(guests.all().by_address.is_empty() && guests.all().silent.is_empty());
    }
}
