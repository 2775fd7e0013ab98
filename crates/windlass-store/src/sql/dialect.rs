//! How the three databases write what they all can do.
//!
//! A statement may hold these words: `?` a value; `{lock}` at the end of a SELECT, its rows are ours until the transaction
//! ends; and in tables `{name}`, `{id}`, `{long}` texts of at most 128, 300 and 255 bytes that can be keys, `{text}` of any
//! length, `{int}` 64 bits, `{engine}` after the closing parenthesis.

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
    MySql,
}

impl Dialect {
    /// The statement as this database wants it.
    pub(crate) fn sql(self, statement: &str) -> String {
        let mut sql = statement.to_owned();
        if sql.contains('{') {
            for (word, meaning) in self.words() {
                sql = sql.replace(word, meaning);
            }
        }
        if self == Self::Postgres {
            sql = numbered(&sql);
        }
        sql
    }

    fn words(self) -> [(&'static str, &'static str); 7] {
        // Texts compare by their bytes, everywhere.
        match self {
            Self::Sqlite => [
                ("{lock}", ""),
                ("{name}", "TEXT"),
                ("{long}", "TEXT"),
                ("{id}", "TEXT"),
                ("{text}", "TEXT"),
                ("{int}", "BIGINT"),
                ("{engine}", ""),
            ],
            Self::Postgres => [
                ("{lock}", "FOR UPDATE"),
                ("{name}", "VARCHAR(128) COLLATE \"C\""),
                ("{long}", "VARCHAR(255) COLLATE \"C\""),
                ("{id}", "VARCHAR(300) COLLATE \"C\""),
                ("{text}", "TEXT COLLATE \"C\""),
                ("{int}", "BIGINT"),
                ("{engine}", ""),
            ],
            Self::MySql => [
                ("{lock}", "FOR UPDATE"),
                ("{name}", "VARCHAR(128)"),
                ("{long}", "VARCHAR(255)"),
                ("{id}", "VARCHAR(300)"),
                ("{text}", "LONGTEXT"),
                ("{int}", "BIGINT"),
                (
                    "{engine}",
                    "ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
                ),
            ],
        }
    }

    /// An INSERT of `keys` and `columns` that replaces the `columns` of a row that is there.
    pub(crate) fn upsert(self, table: &str, keys: &[&str], columns: &[&str]) -> String {
        let set = |value: &dyn Fn(&str) -> String| {
            let set = columns.iter().map(|c| format!("{c} = {}", value(c)));
            set.collect::<Vec<_>>().join(", ")
        };
        let tail = match self {
            Self::MySql => format!(
                "ON DUPLICATE KEY UPDATE {}",
                set(&|c| format!("VALUES({c})"))
            ),
            _ => format!(
                "ON CONFLICT ({}) DO UPDATE SET {}",
                keys.join(", "),
                set(&|c| format!("excluded.{c}"))
            ),
        };
        format!("{} {tail}", insert(table, keys, columns))
    }

    /// An INSERT that leaves a row that is there as it is, and then tells of no rows.
    pub(crate) fn insert_new(self, table: &str, columns: &[&str]) -> String {
        let insert = insert(table, columns, &[]);
        match self {
            Self::MySql => insert.replacen("INSERT", "INSERT IGNORE", 1),
            _ => format!("{insert} ON CONFLICT DO NOTHING"),
        }
    }

    /// Begins a transaction that writes.
    pub(crate) fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            _ => "BEGIN",
        }
    }

    /// An expression for now, in microseconds since 1970; SQLite's clock is this machine's.
    pub(crate) fn now(self) -> Option<&'static str> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => {
                Some("CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)")
            }
            Self::MySql => Some("CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)"),
        }
    }
}

/// An INSERT of one row.
pub(crate) fn insert(table: &str, keys: &[&str], columns: &[&str]) -> String {
    let all = [keys, columns].concat();
    let places = vec!["?"; all.len()].join(", ");
    format!("INSERT INTO {table} ({}) VALUES ({places})", all.join(", "))
}

/// With `$1`, `$2` for each `?`. No statement of ours holds one in a text.
fn numbered(sql: &str) -> String {
    let mut numbered = String::with_capacity(sql.len() + 16);
    for (n, part) in sql.split('?').enumerate() {
        if n > 0 {
            numbered.push('$');
            numbered.push_str(&n.to_string());
        }
        numbered.push_str(part);
    }
    numbered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_statement_for_three() {
        let statement = "SELECT a FROM b WHERE c = ? AND d = ? {lock}";
        assert_eq!(
            Dialect::Postgres.sql(statement),
            "SELECT a FROM b WHERE c = $1 AND d = $2 FOR UPDATE"
        );
        assert_eq!(
            Dialect::Sqlite.sql(statement),
            "SELECT a FROM b WHERE c = ? AND d = ? "
        );
        assert_eq!(
            Dialect::MySql.upsert("t", &["k"], &["v"]),
            "INSERT INTO t (k, v) VALUES (?, ?) ON DUPLICATE KEY UPDATE v = VALUES(v)"
        );
        assert_eq!(
            Dialect::Sqlite.upsert("t", &["k"], &["v"]),
            "INSERT INTO t (k, v) VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v"
        );
    }
}
