//! How much of long requests is in memory at once, whoever sends them.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Http;
use crate::app::{AppError, AppResult};

/// What a request may have without asking, in bytes.
const SHORT: u64 = 64 << 10;
/// What all long ones together may have at least, in bytes.
const LEAST: u64 = 64 << 20;
/// Requests of the greatest length that there is room for at least.
const AT_ONCE: u64 = 4;
/// Bytes that are counted as one.
const UNIT: u64 = 1 << 10;

/// Room for long requests, where one may be of that length.
pub(super) fn of_all(request_limit: u64) -> Arc<Semaphore> {
    let bytes = request_limit.saturating_mul(AT_ONCE).max(LEAST);
    let units = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX);
    Arc::new(Semaphore::new(units as usize))
}

/// How long one request may be, and what it shares with the others.
pub(super) struct Room {
    pub(super) limit: u64,
    shared: Arc<Semaphore>,
}

/// For a call.
pub(super) fn room(http: &Http) -> Room {
    room_of(http, http.app.settings().request_limit)
}

/// For a request of another greatest length.
pub(super) fn room_of(http: &Http, limit: u64) -> Room {
    Room {
        limit,
        shared: http.long.clone(),
    }
}

/// What one request has of it; given back when dropped.
#[derive(Default)]
pub(super) struct Taken {
    units: u64,
    permits: Option<OwnedSemaphorePermit>,
}

impl Taken {
    /// Takes more, for so many bytes altogether.
    pub(super) fn grow(&mut self, room: &Room, bytes: u64) -> AppResult<()> {
        let wanted = bytes.saturating_sub(SHORT).div_ceil(UNIT);
        let more = wanted.saturating_sub(self.units);
        if more == 0 {
            return Ok(());
        }
        let more_permits = u32::try_from(more).unwrap_or(u32::MAX);
        let taken = room.shared.clone().try_acquire_many_owned(more_permits);
        let taken = taken.map_err(|_| {
            AppError::Unavailable("too many long requests at once: try again".into())
        })?;
        match &mut self.permits {
            Some(permits) => permits.merge(taken),
            none => *none = Some(taken),
        }
        self.units += more;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn short_requests_need_no_room_and_long_ones_share_it() {
        let room = Room {
            limit: 1 << 30,
            shared: of_all(1 << 20),
        };
        let mut all = Vec::new();
        for _ in 0..64 {
            let mut taken = Taken::default();
            taken.grow(&room, 1).unwrap();
            taken.grow(&room, 1 << 20).unwrap();
            taken.grow(&room, (1 << 20) + SHORT).unwrap();
            all.push(taken);
        }
        let mut late = Taken::default();
        late.grow(&room, SHORT).unwrap();
        assert!(late.grow(&room, SHORT + 1).is_err());
        all.pop();
        late.grow(&room, SHORT + 1).unwrap();
    }
}
