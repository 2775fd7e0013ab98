//! What the drivers' errors mean.

use crate::error::StoreError;

/// The error of a statement or of a connection.
pub(super) fn of(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default().into_owned();
            from_database(&code, database.message())
        }
        sqlx::Error::Io(error) => StoreError::Unreachable(error.to_string()),
        sqlx::Error::Tls(error) => StoreError::Unreachable(format!("TLS: {error}")),
        // Who waits for a connection has waited long enough: trying again is for whoever asked.
        sqlx::Error::PoolTimedOut => {
            let what = "no connection became free in time, or none could be opened";
            StoreError::Unreachable(what.into())
        }
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            StoreError::Unreachable("the store is closed".into())
        }
        sqlx::Error::Configuration(_) => {
            StoreError::BadUrl("the database's URL or its options cannot be used".into())
        }
        sqlx::Error::ColumnDecode { index, source } => {
            StoreError::Corrupt(format!("column {index}: {source}"))
        }
        other => StoreError::Failed(other.to_string()),
    }
}

fn from_database(code: &str, message: &str) -> StoreError {
    let what = message.to_owned();
    // SQLite gives numbers whose low byte is the kind; the others five characters of the SQL standard.
    if code.len() < 5
        && let Ok(number) = code.parse::<i32>()
    {
        return match number & 0xff {
            5 | 6 => StoreError::Busy(what),
            11 | 26 => StoreError::Corrupt(what),
            14 => StoreError::Unreachable(what),
            _ => StoreError::Failed(what),
        };
    }
    match code {
        // serialization, deadlock, lock not available, too many connections
        "40001" | "40P01" | "55P03" | "53300" | "08004" => StoreError::Busy(what),
        // MariaDB: a lock that was waited for too long
        "HY000" if message.contains("Lock wait timeout") => StoreError::Busy(what),
        // cannot connect now, shut down, crash
        "57P01" | "57P02" | "57P03" => StoreError::Unreachable(what),
        "XX001" | "XX002" => StoreError::Corrupt(what),
        // wrong password, no such user, no rights, no such database
        "28000" | "28P01" | "3D000" | "42000" if message.contains("denied") || code != "42000" => {
            StoreError::Denied(what)
        }
        _ if code.starts_with("08") => StoreError::Unreachable(what),
        _ => StoreError::Failed(what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_meaning() {
        let kind = |code: &str| from_database(code, "x");
        for code in ["5", "6", "517", "40001", "40P01"] {
            assert!(matches!(kind(code), StoreError::Busy(_)), "{code}");
        }
        for code in ["11", "26", "267"] {
            assert!(matches!(kind(code), StoreError::Corrupt(_)), "{code}");
        }
        for code in ["57P03", "08006"] {
            assert!(matches!(kind(code), StoreError::Unreachable(_)), "{code}");
        }
        assert!(matches!(kind("28P01"), StoreError::Denied(_)));
        for code in ["13", "23505", ""] {
            assert!(matches!(kind(code), StoreError::Failed(_)), "{code}");
        }
    }
}
