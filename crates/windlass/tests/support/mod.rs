//! A directory to run `windlass` in, with state and cache of its own.

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation does")]
#![allow(clippy::panic, reason = "what tests share is a test, too")]
#![allow(dead_code, reason = "each test file uses what it needs")]

pub(crate) mod shop;
pub(crate) mod site;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A place of its own for a test.
pub(crate) struct Place {
    dir: TempDir,
}

/// What a run of the program gave.
pub(crate) struct Ran {
    /// The exit status.
    pub(crate) status: i32,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Place {
    /// An empty directory, directly below the temporary one.
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::Builder::new().prefix("wl-").tempdir().unwrap(),
        }
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A path in it, as text.
    pub(crate) fn at(&self, name: &str) -> String {
        self.path().join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file, `@DIR@` in it replaced by the directory.
    pub(crate) fn write(&self, name: &str, contents: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(
            &path,
            contents.replace("@DIR@", self.path().to_str().unwrap()),
        )
        .unwrap();
        path
    }

    /// Writes an executable file.
    pub(crate) fn program(&self, name: &str, contents: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.write(name, contents);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// The program with these arguments, run here.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env("XDG_STATE_HOME", self.path().join(".state"))
            .env("XDG_CACHE_HOME", self.path().join(".cache"))
            .env("TZ", "UTC")
            .env("USER", "tester")
            .env_remove("SSH_AUTH_SOCK")
            .stdin(std::process::Stdio::null());
        command
    }

    /// Runs it to its end.
    pub(crate) fn windlass(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).output().unwrap())
    }

    /// A text without what differs from run to run: this directory, times, run ids.
    pub(crate) fn normal(&self, text: &str) -> String {
        let text = text.replace(self.path().to_str().unwrap(), "DIR");
        let mut out = String::new();
        for line in text.lines() {
            let bytes = line.as_bytes();
            let has_time =
                bytes.len() > 23 && bytes[4] == b'-' && bytes[13] == b':' && bytes[19] == b',';
            out.push_str(if has_time { "TIME" } else { "" });
            let line = if has_time { &line[23..] } else { line };
            out.push_str(without_duration(line));
            out.push('\n');
        }
        without_run_ids(&out)
    }
}

/// A line without ` (1.0 s)` at its end.
fn without_duration(line: &str) -> &str {
    let rest = line.strip_suffix(" s)").and_then(|l| l.rsplit_once(" ("));
    match rest {
        Some((before, number)) if number.parse::<f64>().is_ok() => before,
        _ => line,
    }
}

/// Sends a signal to a process.
pub(crate) fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill")
        .args(["-s", name, &pid.to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// Run ids look like 20261121-213500-0424f2a9.
fn without_run_ids(text: &str) -> String {
    let is_id = |word: &str| {
        let parts: Vec<&str> = word.split('-').collect();
        matches!(parts.as_slice(), [day, time, random] if day.len() == 8 && time.len() == 6 && random.len() == 8)
            && word.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
    };
    let cut = |c: char| !(c.is_ascii_alphanumeric() || c == '-');
    let mut out = text.to_owned();
    for word in text.split(cut).filter(|w| is_id(w)) {
        out = out.replace(word, "RUN");
    }
    out
}

impl Ran {
    /// From a process's output.
    pub(crate) fn of(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Status and both outputs, for a snapshot.
    pub(crate) fn shown(&self, place: &Place) -> String {
        let (stdout, stderr) = (place.normal(&self.stdout), place.normal(&self.stderr));
        format!(
            "status {}\n-- stdout\n{stdout}-- stderr\n{stderr}",
            self.status
        )
    }

    /// Panics unless it ended with `status`.
    pub(crate) fn expect(self, status: i32) -> Self {
        assert_eq!(
            self.status, status,
            "stdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        self
    }
}
