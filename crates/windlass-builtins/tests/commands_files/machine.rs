//! Runs commands for real: every shell that is here, GNU tools and busybox's, each in a directory of its own.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::time::Duration;

use serde_json::Value;
use windlass_builtins::commands::register;
use windlass_builtins::sh::quote;
use windlass_engine::command::{Command, Facts, InitContext, Seen, Turn, Verdict};
use windlass_engine::registry::Registry;
use windlass_model::diagnostic::{Diagnostics, Source};
use windlass_model::ids::{HostName, RunId, TaskId};
use windlass_model::outcome::Outcome;
use windlass_model::step::{As, Put, PutSource, Reply, Run, Step};
use windlass_model::tasklist::Task;
use windlass_model::tree::{self, Value as TreeValue};

/// A shell, the tools beside it, and a directory to work in.
pub struct Machine {
    shell: Vec<&'static str>,
    /// Where programs are looked for.
    pub path: String,
    root: tempfile::TempDir,
    registry: Registry,
}

/// Does a test with every shell, each with a fresh machine.
pub fn on_all(test: impl Fn(&Machine)) {
    for shell in [
        vec!["dash"],
        vec!["bash"],
        vec!["mksh"],
        vec!["busybox", "sh"],
    ] {
        let Some(machine) = Machine::new(shell.clone()) else {
            eprintln!("{} is not here: not tried", shell.join(" "));
            continue;
        };
        eprintln!("with {}", shell.join(" "));
        test(&machine);
    }
}

fn which(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
}

impl Machine {
    /// With this shell, if it is here.
    pub fn new(shell: Vec<&'static str>) -> Option<Self> {
        let program = which(shell[0])?;
        let root = tempfile::tempdir().unwrap();
        for dir in ["home", "tools", "work"] {
            fs::create_dir(root.path().join(dir)).unwrap();
        }
        let tools = root.path().join("tools");
        let mut path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
        if shell[0] == "busybox" {
            let installed = Process::new(&program)
                .args(["--install", "-s"])
                .arg(&tools)
                .status()
                .unwrap();
            assert!(installed.success());
            symlink(&program, tools.join("busybox")).ok();
            path = tools.to_str().unwrap().to_owned();
        }
        let mut registry = Registry::new();
        register(&mut registry);
        Some(Self {
            shell,
            path,
            root,
            registry,
        })
    }

    /// Whether the tools are busybox's.
    pub fn is_busybox(&self) -> bool {
        self.shell[0] == "busybox"
    }

    /// Puts a script before a tool.
    pub fn fake(&self, tool: &str, script: &str) {
        let path = self.root.path().join("tools").join(tool);
        fs::remove_file(&path).ok();
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The directory that a test works in.
    pub fn dir(&self) -> PathBuf {
        self.root.path().canonicalize().unwrap().join("work")
    }

    /// A path in it.
    pub fn at(&self, path: &str) -> String {
        self.dir().join(path).to_str().unwrap().to_owned()
    }

    /// The user's home.
    pub fn home(&self) -> String {
        let home = self.root.path().canonicalize().unwrap().join("home");
        home.to_str().unwrap().to_owned()
    }

    /// Makes a file with its directories.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.dir().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The text of a file.
    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.dir().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    /// Makes a link.
    pub fn link(&self, path: &str, target: &str) {
        symlink(target, self.dir().join(path)).unwrap();
    }

    /// Where a link points to.
    pub fn target(&self, path: &str) -> String {
        let target = fs::read_link(self.dir().join(path)).unwrap();
        target.to_str().unwrap().to_owned()
    }

    /// Whether anything is there, even a link that leads nowhere.
    pub fn has(&self, path: &str) -> bool {
        self.dir().join(path).symlink_metadata().is_ok()
    }

    /// Permission bits.
    pub fn mode(&self, path: &str) -> u32 {
        fs::metadata(self.dir().join(path))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777
    }

    /// Every path below a directory, sorted, links as `name -> target`; directories end in `/`.
    pub fn tree(&self, path: &str) -> Vec<String> {
        let mut found = Vec::new();
        list(&self.dir().join(path), "", &mut found);
        found.sort();
        found
    }

    /// Checks the arguments of a command.
    pub fn initialize(&self, name: &str, args: &Value) -> Result<Box<dyn Command>, Diagnostics> {
        self.initialize_pinned(name, args, &BTreeMap::new())
    }

    /// The same with pinned files.
    pub fn initialize_pinned(
        &self,
        name: &str,
        args: &Value,
        pinned: &BTreeMap<String, String>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        let source = Source::new("args.json", args.to_string());
        let TreeValue::Map(args) = tree::parse_json(&source).unwrap().value else {
            panic!("arguments are a map");
        };
        let task = Task {
            command: name.into(),
            args,
            ..Task::default()
        };
        let base = self.dir();
        let cx = InitContext {
            task: &task,
            id: TaskId::new(1, 1, 1),
            source: Some(&source),
            place: &"task 1.1",
            path: &"stages[0].tasks[0]",
            base: &base,
            pinned,
        };
        let kind = self.registry.find_command(name).unwrap();
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(kind.initialize(&cx))
    }

    /// The message of a command whose arguments are wrong.
    pub fn refuses(&self, name: &str, args: Value) -> String {
        match self.initialize(name, &args) {
            Ok(_) => panic!("{name} took {args}"),
            Err(diagnostics) => diagnostics.to_string(),
        }
    }

    /// Initializes a command and does all of its steps; nothing temporary may be left.
    pub fn verdict(&self, name: &str, args: Value) -> Verdict {
        let verdict = self.end_of(name, args);
        let left = self.tree("").join("\n");
        assert!(!left.contains(".windlass."), "{name} left: {left}");
        verdict
    }

    /// The same while others change what is there.
    pub fn end_of(&self, name: &str, args: Value) -> Verdict {
        let command = self
            .initialize(name, &args)
            .unwrap_or_else(|e| panic!("{name} {args}: {e}"));
        let facts = facts();
        let mut seen = Vec::new();
        for _ in 0..10 {
            match command.turn(&facts, &seen) {
                Turn::End(verdict) => return verdict,
                Turn::Do(steps) | Turn::Last(steps) => self.perform(&steps, &mut seen),
                turn => panic!("{turn:?}"),
            }
        }
        panic!("{name} never ends")
    }

    /// What comes of a command.
    pub fn run(&self, name: &str, args: Value) -> Outcome {
        self.verdict(name, args).outcome
    }

    /// Changed, and unchanged when done again.
    #[track_caller]
    pub fn changes_once(&self, name: &str, args: Value) {
        assert_eq!(self.run(name, args.clone()), Outcome::Changed);
        assert_eq!(self.run(name, args), Outcome::Unchanged);
    }

    /// The message of a failure.
    #[track_caller]
    pub fn fails(&self, name: &str, args: Value) -> String {
        match self.run(name, args) {
            Outcome::Failed(failure) => failure.to_string(),
            outcome => panic!("{name}: {outcome}"),
        }
    }

    fn perform(&self, steps: &[Step], seen: &mut Vec<Seen>) {
        for step in steps {
            let reply = match step {
                Step::Run(run) => self.sh(run),
                Step::Put(put) => place(put),
                step => panic!("{step:?}"),
            };
            let wanted = reply.is_wanted(step);
            seen.push(Seen {
                reply,
                at: Duration::ZERO,
            });
            if !wanted {
                return;
            }
        }
    }

    /// Runs a program as a conversation does: in a subshell, confined by `eval`, without standard input.
    pub fn sh(&self, run: &Run) -> Reply {
        assert!(run.env.is_empty() && run.cwd.is_none() && run.user == As::Login);
        let program = format!("( eval {} ) </dev/null", quote(&run.script));
        let out = Process::new(which(self.shell[0]).unwrap())
            .args(&self.shell[1..])
            .args(["-c", &program])
            .env_clear()
            .env("PATH", &self.path)
            .env("HOME", self.home())
            .stdin(Stdio::null())
            .current_dir(self.root.path())
            .output()
            .unwrap();
        Reply::Ran {
            status: out.status.code().unwrap(),
            stdout: String::from_utf8_lossy(&out.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
        }
    }
}

/// What commands are told.
pub fn facts() -> Facts {
    Facts {
        run: RunId::new("20261121-213500-4f2a9c").unwrap(),
        task: TaskId::new(1, 1, 1),
        host: HostName::local(),
        now: 1_795_297_000,
        user: As::Login,
    }
}

/// Puts a file as a host does, here.
fn place(put: &Put) -> Reply {
    let contents = match &put.source {
        PutSource::File { path, .. } => fs::read(path).unwrap(),
        PutSource::Bytes(text) => text.as_plain().unwrap().into_owned().into_bytes(),
    };
    let to = Path::new(&put.to);
    let bytes = contents.len() as u64;
    match fs::read(to) {
        Ok(old) if old == contents => return Reply::Put { sent: false, bytes },
        Ok(_) if !put.replace => {
            return Reply::Impossible(format!("{} exists already", put.to));
        }
        _ => {}
    }
    if let Err(e) = fs::write(to, contents) {
        return Reply::Impossible(e.to_string());
    }
    if let Some(mode) = put.mode {
        fs::set_permissions(to, fs::Permissions::from_mode(mode)).unwrap();
    }
    Reply::Put { sent: true, bytes }
}

fn list(dir: &Path, prefix: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            let target = fs::read_link(entry.path()).unwrap();
            found.push(format!("{name} -> {}", target.display()));
        } else if kind.is_dir() {
            list(&entry.path(), &format!("{name}/"), found);
            found.push(format!("{name}/"));
        } else {
            found.push(name);
        }
    }
}
