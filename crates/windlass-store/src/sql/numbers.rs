//! The numbers of clients' transactions, given out by who has the row of `meta`. Many are given out in one transaction of the
//! database, which reads and writes the last of them once.

use windlass_model::release::Micros;

use super::session::Session;
use super::value::values;
use crate::error::StoreError;

/// What a transaction of the database knows of them.
#[derive(Clone, Copy)]
pub(super) struct Numbers {
    last: i64,
    written: i64,
}

impl Session {
    /// The last number that was given out, and about now. Until this transaction of the database ends it is the only one that gives
    /// out others.
    pub(crate) async fn last_number(&mut self) -> Result<(i64, Micros), StoreError> {
        if let Some(numbers) = self.numbers {
            return Ok((numbers.last, self.about_now().await?));
        }
        let row = self.row_and_now("sequence", "FROM meta {lock}").await?;
        let (row, now) = row.ok_or_else(|| StoreError::Corrupt("meta has no row".into()))?;
        let last = row.int("sequence")?;
        let written = last;
        self.numbers = Some(Numbers { last, written });
        // whoever had the row before may have had it for long
        Ok((last, *self.asked_at.insert(now)))
    }

    /// Gives out the one after [`Session::last_number`].
    pub(crate) fn give_out(&mut self, number: i64) {
        if let Some(numbers) = &mut self.numbers {
            numbers.last = number;
        }
    }

    /// Writes down what was given out; the last thing that is done before it is kept.
    pub(super) async fn write_numbers(&mut self) -> Result<(), StoreError> {
        if let Some(numbers) = self.numbers.take().filter(|n| n.last != n.written) {
            let sql = "UPDATE meta SET sequence = ? WHERE only_row = 1";
            self.execute(sql, values![numbers.last]).await?;
        }
        Ok(())
    }
}
