//! `plugin_auth_*` and `plugin_persist_*`.

use super::keys::{self, Keys};
use super::{Code, Document, Read, Settings, code};
use crate::release::AgentName;
use crate::text::Text;
use crate::tree::Map;

/// Who may do what.
#[derive(Clone, Debug)]
pub struct AuthPlugin {
    /// Its name.
    pub name: String,
    /// Which.
    pub code: AuthCode,
    /// Its config.
    pub settings: Settings,
}

/// The code behind an auth plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthCode {
    /// Everybody may do everything.
    Anonymous,
    /// The users of the file.
    Users,
    /// A program that its config names.
    Exec,
    /// A file of the installation.
    Own(Code),
}

/// Where the manager keeps what it knows.
#[derive(Clone, Debug)]
pub struct PersistPlugin {
    /// Its name.
    pub name: String,
    /// Which database.
    pub database: Database,
    /// Where it is: a URL, which may be a secret; none: SQLite in the work directory.
    pub url: Option<Text>,
    /// Keys that are none of ours.
    pub rest: Map,
}

/// A database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// A file.
    Sqlite,
    /// A server.
    Postgresql,
    /// A server, MariaDB too.
    Mysql,
}

impl AuthPlugin {
    /// Reads `plugin_auth_FILE`.
    pub fn read(document: &Document, file: &str) -> Read<Self> {
        keys::read(document, |keys| {
            let name = code::name::<AgentName>(keys, file);
            let code = match code::code(keys, "windlass.auth") {
                Some(Code::BuiltIn(word)) => match word.as_str() {
                    "anonymous" => Some(AuthCode::Anonymous),
                    "users" => Some(AuthCode::Users),
                    "exec" => Some(AuthCode::Exec),
                    _ => unknown(keys, &word, "anonymous, users, exec"),
                },
                own => own.map(AuthCode::Own),
            };
            let settings = Settings::new(document, keys.rest());
            Some(Self {
                name: name?.to_string(),
                code: code?,
                settings,
            })
        })
    }
}

impl PersistPlugin {
    /// Reads `plugin_persist_FILE`.
    pub fn read(document: &Document, file: &str) -> Read<Self> {
        keys::read(document, |keys| {
            let name = code::name::<AgentName>(keys, file);
            let database = database(keys);
            let url = keys.maybe_secret("url");
            if let Some(at) = keys.get("url")
                && at.node.as_str().is_some_and(super::vcs::holds_password)
            {
                let message = "a password stands in the URL of `url`".into();
                let hint = keys.secret_hint("url");
                keys.masked_error(
                    &at,
                    message,
                    &format!("make the whole URL a secret: {hint}"),
                );
            }
            if matches!(database, Some(Database::Postgresql | Database::Mysql))
                && keys.get("url").is_none()
            {
                keys.missing::<()>("url", "as in `url: mysql://windlass@localhost/windlass`");
            }
            let rest = keys.rest();
            Some(Self {
                name: name?.to_string(),
                database: database?,
                url,
                rest,
            })
        })
    }
}

/// By `klass` in `windlass.persist`, or the seed's `releasemanager.persist.mysql_tables`.
fn database(keys: &mut Keys<'_>) -> Option<Database> {
    const KNOWN: &str = "sqlite, postgresql, mysql";
    match code::code(keys, "windlass.persist")? {
        Code::BuiltIn(word) => match word.replace('_', "").as_str() {
            "sqlite" => Some(Database::Sqlite),
            "postgresql" | "postgres" => Some(Database::Postgresql),
            "mysql" | "mariadb" => Some(Database::Mysql),
            _ => unknown(keys, &word, KNOWN),
        },
        Code::Own { package, .. } if package == "releasemanager.persist.mysql_tables" => {
            Some(Database::Mysql)
        }
        Code::Own { package, .. } => {
            if let Some(at) = keys.get("package") {
                let message = format!("there is no persistence package `{package}`");
                let hint = format!("`windlass.persist`, with `klass` one of {KNOWN}");
                keys.error(at.node.span, &at.path, message, Some(&hint));
            }
            None
        }
    }
}

fn unknown<T>(keys: &mut Keys<'_>, word: &str, known: &str) -> Option<T> {
    if let Some(at) = keys.get("klass") {
        let message = format!("unknown `klass`: {word}");
        let hint = format!("known: {known}");
        keys.error(at.node.span, &at.path, message, Some(&hint));
    }
    None
}
