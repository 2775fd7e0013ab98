//! Which program a plugin is, and what it may use.

use std::path::PathBuf;
use std::time::Duration;

/// Which program a plugin is and where it runs.
#[derive(Clone, Debug)]
pub struct PluginSpec {
    /// What messages call it: `commands/test_command.py`.
    pub name: String,
    /// The program (an absolute path, or a name to be found on `PATH`) and its arguments.
    pub program: Vec<String>,
    /// Its current directory, and the `directory` that it is described with: that of the config.
    pub directory: PathBuf,
    /// Its whole environment; see [`clean_environment`]. Never put a secret here.
    pub env: Vec<(String, String)>,
    /// What it may use.
    pub limits: Limits,
}

/// What a plugin may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Address space of each of its processes, in bytes; 0 for no limit. Set by `ulimit -v` of the shell that
    /// starts it; a system without that has no limit.
    pub memory_bytes: u64,
    /// How long it may take to answer a call; what it waits for Windlass meanwhile is not counted. `execute`, `build`
    /// and `install` have no such limit: whoever calls drops the call.
    pub call_time: Duration,
    /// The longest line, in bytes.
    pub line_bytes: usize,
    /// How long it is waited for at its end, once after stdin is closed and once after TERM.
    pub close_time: Duration,
}

impl Default for Limits {
    /// 1 GiB, 60 s, 16 MiB, 2 s.
    fn default() -> Self {
        Self {
            memory_bytes: 1 << 30,
            call_time: Duration::from_secs(60),
            line_bytes: 16 << 20,
            close_time: Duration::from_secs(2),
        }
    }
}

/// What of an environment a plugin gets to see: where programs are, whose home it is, language and time zone.
pub fn clean_environment(
    whole: impl IntoIterator<Item = (String, String)>,
) -> Vec<(String, String)> {
    const KEPT: [&str; 9] = [
        "PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TMPDIR", "TZ", "SHELL",
    ];
    whole
        .into_iter()
        .filter(|(name, _)| KEPT.contains(&name.as_str()) || name.starts_with("LC_"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_stay_out_of_the_environment() {
        let whole = [("PATH", "/bin"), ("AWS_SECRET", "x"), ("LC_ALL", "C")];
        let kept = clean_environment(whole.map(|(k, v)| (k.to_owned(), v.to_owned())));
        let names: Vec<&str> = kept.iter().map(|(k, _)| k.as_str()).collect();
        assert_eq!(names, ["PATH", "LC_ALL"]);
    }
}
