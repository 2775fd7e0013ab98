//! How verbs reach a manager: where it is, who asks, and what is said when it does not answer.

pub(crate) mod archive;
mod credentials;
pub(crate) mod requesting;
pub(crate) mod tables;
pub(crate) mod watching;

use std::path::PathBuf;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use windlass_model::diagnostic::Diagnostic;
use windlass_wire::connection::{Connection, Login, WireError};
use windlass_wire::rest::Client;

use crate::ending::Ending;
use crate::surroundings::variable;

/// Where a manager is when nobody says: the port of the seed.
const DEFAULT: &str = "http://localhost:10000";
/// Longest file of certificates, in bytes.
const LONGEST_CERTIFICATES: u64 = 4 << 20;

/// Which manager, and who asks.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ManagerOptions {
    /// The manager [default: $WINDLASS_MANAGER, else http://localhost:10000]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) manager: Option<String>,
    /// Who asks: two lines, user name and password, or YAML with `username` and `password`, or with `token` [default:
    /// $WINDLASS_USERNAME and $WINDLASS_PASSWORD, or $WINDLASS_TOKEN]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) credentials: Option<PathBuf>,
    /// Certificates in PEM that are trusted beside the system's
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ca_certificate: Option<PathBuf>,
}

impl ManagerOptions {
    /// A client of the manager. Nothing is sent yet.
    pub(crate) fn client(&self) -> Result<Client, Ending> {
        let said = self
            .manager
            .clone()
            .or_else(|| variable("WINDLASS_MANAGER"));
        let url = said.filter(|url| !url.is_empty());
        let url = url.unwrap_or_else(|| DEFAULT.into());
        let login = credentials::login(self.credentials.as_deref(), variable)?;
        let roots = self.roots()?;
        let is_known = login != Login::Anonymous;
        let connection = Connection::new(&url, login, roots.as_deref()).map_err(ending)?;
        if is_known && !connection.is_private() {
            return Err(Ending::input(
                format!("no password is sent over plain HTTP to another machine: {url}"),
                "name the manager with https://, and let it have a certificate",
            ));
        }
        Ok(Client::new(connection))
    }

    /// It is wrong to name a manager where hosts are asked.
    pub(crate) fn not_without(&self, wanted: &str) -> Result<(), Ending> {
        let options = [
            ("--manager", self.manager.is_some()),
            ("--credentials", self.credentials.is_some()),
            ("--ca-certificate", self.ca_certificate.is_some()),
        ];
        match options.iter().find(|(_, is_said)| *is_said) {
            None => Ok(()),
            Some((option, _)) => Err(Ending::input(
                format!("`{option}` is about a manager, and the hosts of a config are asked"),
                format!("with {wanted} the manager is asked"),
            )),
        }
    }

    fn roots(&self) -> Result<Option<Vec<u8>>, Ending> {
        let Some(path) = &self.ca_certificate else {
            return Ok(None);
        };
        let shown = path.display();
        let wrong = |why: String| {
            let message = format!("certificates {shown} cannot be read: {why}");
            Ending::input(message, "name a file of certificates in PEM")
        };
        let meta = std::fs::metadata(path).map_err(|e| wrong(e.to_string()))?;
        if meta.len() > LONGEST_CERTIFICATES {
            return Err(wrong("it is larger than 4 MiB".into()));
        }
        let pem = std::fs::read(path).map_err(|e| wrong(e.to_string()))?;
        let begins = b"-----BEGIN CERTIFICATE-----";
        if !pem.windows(begins.len()).any(|part| part == begins) {
            return Err(wrong("there is no certificate in it".into()));
        }
        Ok(Some(pem))
    }

    /// The options, for a command that somebody goes on with.
    pub(crate) fn again(&self) -> String {
        let mut text = String::new();
        let mut add = |option: &str, value: Option<String>| {
            if let Some(value) = value {
                text.push_str(&format!(" {option} {value}"));
            }
        };
        let shown = |path: &PathBuf| path.display().to_string();
        add("--manager", self.manager.clone());
        add("--credentials", self.credentials.as_ref().map(shown));
        add("--ca-certificate", self.ca_certificate.as_ref().map(shown));
        text
    }
}

/// How a verb ends that a manager did not answer as it was to.
pub(crate) fn ending(error: WireError) -> Ending {
    let told = Diagnostic::error;
    match error {
        WireError::Link(why) => Ending::Away(
            told(format!("the manager is not reached: {why}"))
                .hint("is it running there? `--manager URL` or WINDLASS_MANAGER says where it is, `--ca-certificate FILE` which certificates are trusted")
                .into(),
        ),
        WireError::Unavailable(why) => Ending::Away(
            told(format!("the manager cannot answer now: {why}"))
                .hint("try again; the manager's log says more")
                .into(),
        ),
        WireError::Denied(why) => Ending::input(
            format!("the manager refuses: {why}"),
            "`--credentials FILE`, or WINDLASS_USERNAME and WINDLASS_PASSWORD, or WINDLASS_TOKEN, say who asks",
        ),
        WireError::NotFound(why)
        | WireError::Superseded(why)
        | WireError::Refused(why)
        | WireError::File(why) => told(why).into(),
    }
}

/// Does it unless the operator stops it first.
pub(crate) async fn unless_interrupted<T>(
    done: impl Future<Output = Result<T, Ending>>,
) -> Result<T, Ending> {
    let wrong = |e| Ending::own("signals cannot be heard", e);
    let mut int = signal(SignalKind::interrupt()).map_err(wrong)?;
    let mut term = signal(SignalKind::terminate()).map_err(wrong)?;
    tokio::select! {
        done = done => done,
        _ = int.recv() => Err(Ending::Interrupted),
        _ = term.recv() => Err(Ending::Interrupted),
    }
}
