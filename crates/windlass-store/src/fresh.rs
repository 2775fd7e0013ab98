//! Ids and secrets that nobody had before.

use std::str::FromStr;

use windlass_model::release::Micros;

use crate::error::StoreError;

/// Digits and letters that cannot be taken for each other, in the order of their bytes.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Random letters, of 5 bits each.
pub(crate) fn random(letters: usize) -> Result<String, StoreError> {
    let mut bytes = vec![0; letters];
    getrandom::fill(&mut bytes)
        .map_err(|e| StoreError::Failed(format!("no randomness from the system: {e}")))?;
    Ok(bytes.into_iter().map(|b| letter(u64::from(b))).collect())
}

fn letter(number: u64) -> char {
    let place = usize::try_from(number & 31).unwrap_or(0);
    LETTERS.get(place).map_or('0', |b| char::from(*b))
}

/// An id of a transaction or a job: twelve letters of time (`now`: microseconds), ten of chance. Ids sort by time.
pub fn id<T: FromStr<Err = String>>(now: Micros) -> Result<T, StoreError> {
    let time = u64::try_from(now).unwrap_or(0);
    let mut text: String = (0..12).rev().map(|n| letter(time >> (5 * n))).collect();
    text.push_str(&random(10)?);
    text.parse().map_err(StoreError::Failed)
}

#[cfg(test)]
mod tests {
    use windlass_model::release::TransactionId;

    use super::*;

    #[test]
    fn ids_sort_by_time_and_differ() {
        let of = |now| id::<TransactionId>(now).unwrap();
        let now = 1_900_000_000_000_000;
        assert!(of(now) < of(now + 1));
        assert!(of(now + 31) < of(now + 32));
        assert_ne!(of(now), of(now));
    }
}
