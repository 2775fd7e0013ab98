//! Where a store is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::mysql::MySqlConnectOptions;
use sqlx::postgres::PgConnectOptions;

use crate::error::StoreError;

/// A database: a file of SQLite, PostgreSQL, or MySQL and MariaDB. Shown without user, password and options.
#[derive(Clone)]
pub struct StoreUrl {
    shown: String,
    pub(crate) place: Place,
}

/// With what the driver needs.
#[derive(Clone)]
pub(crate) enum Place {
    Sqlite(PathBuf),
    Postgres(Box<PgConnectOptions>),
    MySql(Box<MySqlConnectOptions>),
}

impl StoreUrl {
    /// A file of SQLite, which is made when it is missing, with its folder.
    pub fn sqlite(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        Self {
            shown: format!("sqlite:{}", path.display()),
            place: Place::Sqlite(path.to_owned()),
        }
    }

    /// Whether a server keeps it, which may be away for a while.
    pub fn is_of_a_server(&self) -> bool {
        !matches!(self.place, Place::Sqlite(_))
    }
}

impl FromStr for StoreUrl {
    type Err = StoreError;

    /// Reads `sqlite:PATH`, `postgres://USER:PASSWORD@HOST:PORT/DATABASE` (or `postgresql`), `mysql://...` (or `mariadb`).
    fn from_str(text: &str) -> Result<Self, StoreError> {
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(bad(
                "a store is sqlite:PATH, postgres://... or mysql://...; what was given has no scheme",
            ));
        };
        let wrong = |name: &str, scheme: &str| {
            bad(format!(
                "it is no URL of {name}: {scheme}://USER:PASSWORD@HOST:PORT/DATABASE, special characters as %XX"
            ))
        };
        let place = match scheme {
            "sqlite" => {
                let path = rest.strip_prefix("//").unwrap_or(rest);
                if path.is_empty() || path.contains('?') {
                    return Err(bad("a store in a file is sqlite:PATH, without options"));
                }
                return Ok(Self::sqlite(path));
            }
            "postgres" | "postgresql" => {
                let options = PgConnectOptions::from_str(text);
                Place::Postgres(Box::new(
                    options.map_err(|_| wrong("PostgreSQL", "postgres"))?,
                ))
            }
            "mysql" | "mariadb" => {
                let options = MySqlConnectOptions::from_str(&format!("mysql:{rest}"));
                Place::MySql(Box::new(
                    options.map_err(|_| wrong("MySQL or MariaDB", "mysql"))?,
                ))
            }
            _ => {
                return Err(bad(
                    "a store is sqlite:PATH, postgres://... or mysql://...; the scheme that was given is another",
                ));
            }
        };
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let rest = rest.split_once('?').map_or(rest, |(rest, _)| rest);
        let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
        Ok(Self {
            shown: format!("{scheme}://{rest}"),
            place,
        })
    }
}

fn bad(text: impl Into<String>) -> StoreError {
    StoreError::BadUrl(text.into())
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        for text in [
            "postgres://joe:hunter2@db.example:5433/windlass?password=hunter2",
            "mariadb://joe:hunter2@db.example/windlass?ssl-mode=required",
            "mysql://joe:hunter2%40x@db.example/windlass",
        ] {
            let url: StoreUrl = text.parse().unwrap();
            let shown = format!("{url} {url:?}");
            assert!(
                shown.contains("db.example")
                    && !shown.contains("hunter2")
                    && !shown.contains("joe"),
                "{shown}"
            );
        }
    }

    #[test]
    fn what_is_none_is_refused_without_repeating_it() {
        for text in [
            "",
            "hunter2",
            "oracle://x:hunter2@y/z",
            "sqlite:",
            "sqlite://x?mode=hunter2",
            "postgres://a:hunter2@host:port/x",
            "mysql://h?ssl-mode=hunter2",
        ] {
            let error = text.parse::<StoreUrl>().unwrap_err();
            assert!(matches!(error, StoreError::BadUrl(_)), "{text}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
