//! What Windlass is told by the machine that it runs on. The one place that reads the environment.

use std::io::IsTerminal;
use std::path::PathBuf;

/// Where Windlass runs, and as whom.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    /// The user's home directory.
    pub(crate) home: Option<PathBuf>,
    /// The user's name.
    pub(crate) user: String,
    /// The machine's name.
    pub(crate) machine: String,
    /// The SSH agent's socket.
    pub(crate) agent_socket: Option<PathBuf>,
    /// Where state is kept unless `--state-dir` says otherwise: `$XDG_STATE_HOME/windlass`.
    pub(crate) state: PathBuf,
    /// Where the carried Python package is unpacked: `$XDG_CACHE_HOME/windlass`.
    pub(crate) cache: PathBuf,
    /// This program, absolute.
    pub(crate) binary: PathBuf,
    /// The working directory.
    pub(crate) directory: PathBuf,
    /// Whether standard error is a terminal that can show progress.
    pub(crate) is_terminal: bool,
    /// Whether somebody at a terminal reads standard output and can answer on standard input.
    pub(crate) can_be_asked: bool,
}

impl Surroundings {
    /// Reads the environment.
    pub(crate) fn read() -> std::io::Result<Self> {
        let path = |name: &str| {
            std::env::var_os(name)
                .filter(|v| !v.is_empty())
                .map(PathBuf::from)
        };
        let home = path("HOME");
        let below_home = |variable: &str, default: &str| {
            path(variable)
                .filter(|p| p.is_absolute())
                .or_else(|| home.as_ref().map(|h| h.join(default)))
                .unwrap_or_else(std::env::temp_dir)
                .join("windlass")
        };
        Ok(Self {
            user: std::env::var("USER")
                .or_else(|_| std::env::var("LOGNAME"))
                .ok()
                .filter(|u| !u.is_empty())
                .unwrap_or_else(|| {
                    if rustix::process::getuid().is_root() {
                        "root"
                    } else {
                        "unknown"
                    }
                    .into()
                }),
            machine: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
            agent_socket: path("SSH_AUTH_SOCK"),
            state: below_home("XDG_STATE_HOME", ".local/state"),
            cache: below_home("XDG_CACHE_HOME", ".cache"),
            binary: std::env::current_exe()?,
            directory: std::env::current_dir()?,
            is_terminal: std::io::stderr().is_terminal()
                && path("TERM").is_some_and(|t| t.as_os_str() != "dumb"),
            can_be_asked: std::io::stdin().is_terminal() && std::io::stdout().is_terminal(),
            home,
        })
    }

    /// `user@machine`, as receipts and journals name who deployed.
    pub(crate) fn by(&self) -> String {
        format!("{}@{}", self.user, self.machine)
    }
}

/// The whole environment, less what is no UTF-8.
pub(crate) fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// A variable of the environment, for secret references.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
