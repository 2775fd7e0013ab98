//! Throw-away database servers on free ports of 127.0.0.1, in temporary directories.
//!
//! Neither PostgreSQL nor MariaDB runs as root: then a user who is made for this runs them. Nothing is synced: they are for
//! tests, and start in a second or two. What they acknowledge outlives their processes all the same, though not the machine. A
//! server ends when it is dropped, or when the thread that started it does.

use std::fs::{self, File};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::sshd::{is_root, make_user};

/// How long a server may take to answer.
const START: Duration = Duration::from_secs(60);
/// How long a server may take to end.
const STOP: Duration = Duration::from_secs(5);
/// Who runs servers when the tests run as root.
const USER: &str = "windlass-db";
/// The password of the server's user; tests look whether it shows up anywhere.
pub const PASSWORD: &str = "hunter2";

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// PostgreSQL.
    Postgres,
    /// MariaDB.
    MariaDb,
}

/// A running server.
pub struct Server {
    child: Child,
    directory: TempDir,
    kind: Kind,
    /// Where it listens on 127.0.0.1.
    pub port: u16,
}

impl Server {
    /// Makes its files, starts it, and waits until it answers.
    pub fn start(kind: Kind) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("windlass-db").tempdir()?;
        let home = directory.path().to_owned();
        if is_root()? {
            make_user(USER, "/bin/sh")?;
            own(&home)?;
        }
        make_files(kind, &home)?;
        let mut last = io::Error::other("no free port");
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            match run(kind, &home, port) {
                Ok(child) => {
                    let server = Self {
                        child,
                        directory,
                        kind,
                        port,
                    };
                    for statement in users(kind) {
                        server.say(statement)?;
                    }
                    return Ok(server);
                }
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    /// Makes an empty database; gives its URL.
    pub fn database(&self, name: &str) -> io::Result<String> {
        self.say(&format!("CREATE DATABASE {name}"))?;
        let scheme = match self.kind {
            Kind::Postgres => "postgres",
            Kind::MariaDb => "mariadb",
        };
        let port = self.port;
        Ok(format!(
            "{scheme}://windlass:{PASSWORD}@127.0.0.1:{port}/{name}"
        ))
    }

    /// Ends all of its processes as a crash does.
    pub fn kill(&mut self) -> io::Result<()> {
        let server = self.child.id();
        // PostgreSQL's have groups of their own
        let mut all = children(server)?;
        all.insert(0, server);
        for process in all {
            // one that has ended by itself is no fault
            let _ = output(Command::new("kill").args(["-KILL", &process.to_string()]));
        }
        self.child.wait().map(drop)
    }

    /// Starts it again where it was, after [`Server::kill`], and waits until it answers.
    pub fn start_again(&mut self) -> io::Result<()> {
        let mut last = io::Error::other("it was not tried");
        for _ in 0..10 {
            match run(self.kind, self.directory.path(), self.port) {
                Ok(child) => {
                    self.child = child;
                    return Ok(());
                }
                // what is left of the old one holds its memory for some moments more
                Err(error) => last = error,
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Err(last)
    }

    /// Has a statement done by the server's own client.
    pub fn say(&self, statement: &str) -> io::Result<String> {
        client(self.kind, self.directory.path(), self.port, statement)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // nothing of it is to be kept, but PostgreSQL ends its own processes only when it is asked to
        let mut quit = Command::new("kill");
        quit.args(["-QUIT", &self.child.id().to_string()]);
        if self.kind == Kind::Postgres && output(&mut quit).is_ok() {
            let begun = Instant::now();
            while begun.elapsed() < STOP && matches!(self.child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processes that a process has started and that live.
fn children(of: u32) -> io::Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let name = entry.file_name();
        let Some(process) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let parent = fields.split_whitespace().nth(1);
        if parent.is_some_and(|parent| parent == of.to_string()) {
            found.push(process);
        }
    }
    Ok(found)
}

/// Starts a server and waits until it answers.
fn run(kind: Kind, home: &Path, port: u16) -> io::Result<Child> {
    let mut options = File::options();
    let log = options.create(true).append(true).open(home.join("log"))?;
    let mut command = serve(kind, home, port)?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?);
    let mut child = command.stderr(log).spawn()?;
    let begun = Instant::now();
    while begun.elapsed() < START {
        if let Some(status) = child.try_wait()? {
            let log = fs::read_to_string(home.join("log")).unwrap_or_default();
            let ended = format!("the server ended: {status}: {log}");
            return Err(io::Error::other(ended));
        }
        if TcpStream::connect(("127.0.0.1", port)).is_ok()
            && client(kind, home, port, "SELECT 1").is_ok()
        {
            return Ok(child);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let _ = child.kill();
    let _ = child.wait();
    Err(io::Error::other("the server does not answer"))
}

/// What makes the user of [`Server::database`].
fn users(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Postgres => &["CREATE USER windlass SUPERUSER PASSWORD 'hunter2'"],
        Kind::MariaDb => &[
            "CREATE USER windlass@'127.0.0.1' IDENTIFIED BY 'hunter2'",
            "CREATE USER windlass@localhost IDENTIFIED BY 'hunter2'",
            "GRANT ALL ON *.* TO windlass@'127.0.0.1'",
            "GRANT ALL ON *.* TO windlass@localhost",
        ],
    }
}

fn own(path: &Path) -> io::Result<()> {
    let id = |flag: &str| {
        let text = output(Command::new("id").args([flag, USER]))?;
        text.parse::<u32>().map_err(io::Error::other)
    };
    std::os::unix::fs::chown(path, Some(id("-u")?), Some(id("-g")?))
}

/// A program as a user who is not root, which ends with the thread that starts it.
fn unprivileged(program: &Path) -> io::Result<Command> {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if is_root()? {
        command.args(["--reuid", USER, "--regid", USER, "--clear-groups"]);
    }
    command.arg("--").arg(program);
    Ok(command)
}

fn make_files(kind: Kind, home: &Path) -> io::Result<()> {
    let data = home.join("data");
    let mut command = match kind {
        Kind::Postgres => {
            let mut command = unprivileged(&program("initdb")?)?;
            command
                .args(["-U", "postgres", "-A", "scram-sha-256", "--no-sync"])
                .args(["-E", "UTF8", "--locale=C", "-D"])
                .arg(&data);
            let password = home.join("password");
            fs::write(&password, PASSWORD)?;
            command.arg("--pwfile").arg(&password);
            command
        }
        Kind::MariaDb => {
            let mut command = unprivileged(&program("mariadb-install-db")?)?;
            command
                .args(["--no-defaults", "--skip-test-db"])
                .arg("--auth-root-authentication-method=normal")
                .arg(format!("--datadir={}", data.display()));
            command
        }
    };
    output(command.current_dir(home)).map(drop)
}

fn serve(kind: Kind, home: &Path, port: u16) -> io::Result<Command> {
    let data = home.join("data");
    let mut command = match kind {
        Kind::Postgres => {
            let mut command = unprivileged(&program("postgres")?)?;
            command.arg("-D").arg(&data);
            for setting in [
                "listen_addresses=127.0.0.1".to_owned(),
                format!("port={port}"),
                format!("unix_socket_directories={}", home.display()),
                "fsync=off".into(),
                "full_page_writes=off".into(),
            ] {
                command.args(["-c", &setting]);
            }
            command
        }
        Kind::MariaDb => {
            let mut command = unprivileged(&program("mariadbd")?)?;
            command
                .args(["--no-defaults", "--bind-address=127.0.0.1"])
                .arg(format!("--port={port}"))
                .arg(format!("--datadir={}", data.display()))
                .arg(format!("--socket={}", home.join("socket").display()))
                .arg(format!("--pid-file={}", home.join("pid").display()))
                .args(["--innodb-flush-log-at-trx-commit=2", "--sync-binlog=0"]);
            command
        }
    };
    command.current_dir(home);
    Ok(command)
}

fn client(kind: Kind, home: &Path, port: u16, statement: &str) -> io::Result<String> {
    let mut command = match kind {
        Kind::Postgres => {
            let mut command = Command::new(program("psql")?);
            command
                .args(["-X", "-q", "-t", "-A", "-U", "postgres", "-d", "postgres"])
                .args(["-h", "127.0.0.1", "-p", &port.to_string()])
                .env("PGPASSWORD", PASSWORD)
                .args(["-c", statement]);
            command
        }
        Kind::MariaDb => {
            let mut command = Command::new(program("mariadb")?);
            command
                .args(["--no-defaults", "-N", "-u", "root"])
                .arg(format!("--socket={}", home.join("socket").display()))
                .args(["-e", statement]);
            command
        }
    };
    output(command.env("LC_ALL", "C"))
}

/// A program of a database; Debian keeps PostgreSQL's off the path.
fn program(name: &str) -> io::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.push("/usr/sbin".into());
    if let Ok(versions) = fs::read_dir("/usr/lib/postgresql") {
        folders.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    let found = folders.into_iter().map(|folder| folder.join(name));
    let mut found = found.filter(|path| path.is_file());
    let missing = || io::Error::other(format!("{name} is not installed: see ./test"));
    found.next().ok_or_else(missing)
}

fn output(command: &mut Command) -> io::Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(io::Error::other(format!("{command:?}: {error}")));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
