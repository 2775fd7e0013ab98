//! A generated directory and the service that runs in it.

use std::fs::{self, File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(40);

/// Looks every 20 ms until there is something.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// As `generate` writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `windlass generate`.
    Yaml,
    /// `relman_ctl generate`.
    Xml,
}

impl Form {
    /// What configs end in.
    pub(crate) fn ending(self) -> &'static str {
        match self {
            Self::Yaml => "yaml",
            Self::Xml => "xml",
        }
    }
}

/// A manager, a builder or an installer.
pub(crate) struct Service {
    pub(crate) dir: PathBuf,
    form: Form,
    output: PathBuf,
    child: Option<Child>,
}

impl Service {
    pub(crate) fn new(dir: PathBuf, form: Form) -> Self {
        Self {
            output: dir.with_extension("output"),
            dir,
            form,
            child: None,
        }
    }

    /// A path in it.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Replaces a text in a file, which must hold it.
    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.at(&format!("{file}.{}", self.form.ending()));
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{}: no {from:?}", path.display());
        fs::write(path, text.replace(from, to)).unwrap();
    }

    /// Writes a file.
    pub(crate) fn write(&self, file: &str, text: &str) {
        let path = self.at(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Starts it by its own program.
    pub(crate) fn start(&mut self) {
        self.start_as(|command| command);
    }

    /// Starts it by what is made of the command that starts its own program.
    pub(crate) fn start_as(&mut self, made: impl FnOnce(Command) -> Command) {
        assert!(self.child.is_none());
        let program = match self.form {
            Form::Yaml => "serve",
            Form::Xml => "serve.py",
        };
        let mut options = OpenOptions::new();
        let out: File = options
            .create(true)
            .append(true)
            .open(&self.output)
            .unwrap();
        let home = self.dir.parent().unwrap().join("home");
        fs::create_dir_all(&home).unwrap();
        let mut command = Command::new(self.at(program));
        command
            .current_dir(&self.dir)
            .env("HOME", &home)
            .env("XDG_CACHE_HOME", home.join("cache"))
            .env("XDG_STATE_HOME", home.join("state"))
            .env("TZ", "UTC");
        let mut command = made(command);
        command
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .process_group(0);
        self.child = Some(command.spawn().unwrap());
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Sends it a signal and waits for its end; gives how long that took.
    pub(crate) fn end(&mut self, signal: &str) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        let mut child = self.child.take().unwrap();
        send(child.id(), signal);
        let status = until("the service ends", || child.try_wait().unwrap());
        (status, begun.elapsed())
    }

    /// Whether it runs: not when it was never started, or has ended by itself.
    #[allow(dead_code, reason = "asked of what is killed only")]
    pub(crate) fn is_running(&mut self) -> bool {
        let ended = match &mut self.child {
            Some(child) => child.try_wait().unwrap().is_some(),
            None => true,
        };
        if ended {
            self.child = None;
        }
        !ended
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(&mut self) {
        self.end("KILL");
    }

    /// All that it has said.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// Waits until it says something.
    pub(crate) fn says(&self, text: &str) {
        until(text, || self.said().contains(text).then_some(()));
    }

    /// What lies in a directory of it, sorted.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        list(&self.at(name))
    }
}

/// What lies in a directory, sorted.
pub(crate) fn list(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .map(|e| e.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Sends a signal to a process.
pub(crate) fn send(pid: u32, signal: &str) {
    let sent = Command::new("kill")
        .args(["-s", signal, &pid.to_string()])
        .status();
    assert!(sent.unwrap().success());
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("-- {}:\n{}", self.dir.display(), self.said());
        }
    }
}
