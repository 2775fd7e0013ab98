//! What the files of the three services have in common.

use super::keys::Keys;
use crate::step::Level;

/// How a service is called and where it logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The name that it goes by; none in the file: that of the file.
    pub name: String,
    /// Where and how much.
    pub logging: Logging,
    /// The name of the auth plugin; none: anonymous.
    pub auth: Option<String>,
    /// Where the service keeps what it works with, relative to the installation.
    pub work_path: String,
}

/// `logging_path`, `logging_level`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logging {
    /// The directory of log files, relative to the installation.
    pub path: String,
    /// What is logged at least.
    pub level: Level,
}

/// `listen_address`, `listen_port`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// An address of this machine, or a name of one.
    pub address: String,
    /// 0 for any that is free.
    pub port: u16,
}

const LEVELS: [(&str, Level); 8] = [
    ("debug", Level::Debug),
    ("info", Level::Info),
    ("warning", Level::Warning),
    ("warn", Level::Warning),
    ("error", Level::Error),
    ("critical", Level::Error),
    ("fatal", Level::Error),
    ("notset", Level::Debug),
];

/// Reads it. `klass` and `package` of a service are the seed's, and there is one code for each service.
pub(super) fn service(keys: &mut Keys<'_>, file: &str) -> Service {
    let named: Option<crate::release::AgentName> = keys.name("name");
    keys.get("klass");
    keys.get("package");
    Service {
        name: named.map_or_else(|| file.to_owned(), |name| name.to_string()),
        logging: Logging {
            path: keys.text("logging_path").unwrap_or_else(|| "log".into()),
            level: keys.word("logging_level", &LEVELS).unwrap_or(Level::Info),
        },
        auth: lookup(keys, "auth"),
        work_path: keys.text("work_path").unwrap_or_else(|| "work".into()),
    }
}

/// The name of another file.
pub(super) fn lookup(keys: &mut Keys<'_>, key: &'static str) -> Option<String> {
    let name: Option<crate::release::AgentName> = keys.name(key);
    name.map(|name| name.to_string())
}
