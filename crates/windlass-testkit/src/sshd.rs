//! A throw-away sshd on a free port of 127.0.0.1, with keys and client files of its own in a temporary directory.
//!
//! As root it logs in users that are made for this when they are missing, with empty profiles; else the user
//! who runs the test.

use std::fs;
use std::io::{self, Read};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long sshd may take to answer.
const START: Duration = Duration::from_secs(10);

/// What differs from an ordinary sshd.
#[derive(Clone, Debug)]
pub struct SshdOptions {
    /// More lines of sshd_config.
    pub config: Vec<String>,
    /// The user who logs in, when run as root.
    pub user: String,
    /// That user's shell.
    pub shell: String,
}

impl Default for SshdOptions {
    fn default() -> Self {
        Self {
            config: Vec::new(),
            user: "windlass-test".into(),
            shell: "/bin/sh".into(),
        }
    }
}

impl SshdOptions {
    /// With a line of sshd_config more.
    pub fn line(mut self, line: &str) -> Self {
        self.config.push(line.into());
        self
    }

    /// With a user of this shell.
    pub fn shell(mut self, shell: &str) -> Self {
        let name = shell.rsplit('/').next().unwrap_or(shell);
        self.user = format!("windlass-{name}");
        self.shell = shell.into();
        self
    }
}

/// A running sshd; it is stopped when dropped.
pub struct Sshd {
    child: Child,
    directory: TempDir,
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    /// Who logs in.
    pub user: String,
}

impl Sshd {
    /// Starts one and waits until it answers.
    pub fn start(options: &SshdOptions) -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        // sshd reads the keys with the rights of the user who logs in
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
        // what a host keeps for its user is this host's own
        fs::create_dir(directory.path().join("state"))?;
        fs::set_permissions(
            directory.path().join("state"),
            fs::Permissions::from_mode(0o777),
        )?;
        let root = is_root()?;
        let user = if root {
            make_user(&options.user, &options.shell)?;
            fs::create_dir_all("/run/sshd")?;
            options.user.clone()
        } else {
            say(Command::new("id").arg("-un"))?
        };
        for name in ["host_key", "client_key"] {
            keygen(&directory.path().join(name))?;
        }
        fs::copy(
            directory.path().join("client_key.pub"),
            directory.path().join("authorized_keys"),
        )?;
        let mut last = io::Error::other("no free port");
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            match run(directory.path(), port, options) {
                Ok(child) => {
                    let sshd = Self {
                        child,
                        directory,
                        port,
                        user,
                    };
                    sshd.write_client_files()?;
                    return Ok(sshd);
                }
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    /// Ends it; the connections that it has go on.
    pub fn stop(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Starts it again after [`Sshd::stop`], with the same port and keys.
    pub fn start_again(&mut self) -> io::Result<()> {
        self.child = spawn(self.directory.path(), self.port)?;
        Ok(())
    }

    /// A file of its directory: `client_key`, `known_hosts`, `ssh_config`, `host_key.pub`, `log`, or one of yours.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A part of ssh_config by which `host` is this sshd; with more lines for it.
    pub fn host_block(&self, host: &str, more: &str) -> String {
        format!(
            "Host {host}\n  HostName 127.0.0.1\n  Port {}\n  User {}\n  IdentityFile {}\n  \
             IdentitiesOnly yes\n  UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null\n{more}\n",
            self.port,
            self.user,
            self.file("client_key").display(),
            self.file("known_hosts").display(),
        )
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.file("log")).unwrap_or_default()
    }

    /// Its line for known_hosts.
    pub fn known_line(&self) -> io::Result<String> {
        let key = fs::read_to_string(self.file("host_key.pub"))?;
        Ok(format!("[127.0.0.1]:{} {}\n", self.port, key.trim()))
    }

    fn write_client_files(&self) -> io::Result<()> {
        fs::write(self.file("known_hosts"), self.known_line()?)?;
        fs::write(self.file("ssh_config"), self.host_block("testhost", ""))
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(directory: &Path, port: u16, options: &SshdOptions) -> io::Result<Child> {
    let path = |name: &str| directory.join(name).display().to_string();
    let mut config = String::new();
    // the first value of a keyword is the one that counts
    for line in &options.config {
        config.push_str(line);
        config.push('\n');
    }
    config.push_str(&format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\n\
         StrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPrintMotd no\n\
         MaxStartups 200\nLogLevel VERBOSE\nSetEnv XDG_STATE_HOME={}\n",
        path("host_key"),
        path("authorized_keys"),
        path("state"),
    ));
    fs::write(directory.join("sshd_config"), config)?;
    spawn(directory, port)
}

/// Starts it with the configuration that is there, and waits until it answers.
fn spawn(directory: &Path, port: u16) -> io::Result<Child> {
    let path = |name: &str| directory.join(name).display().to_string();
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(directory.join("log"))?;
    // sshd wants to be called by its absolute path
    let mut child = Command::new("/usr/sbin/sshd")
        .args(["-D", "-e", "-f", &path("sshd_config")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()?;
    let begun = Instant::now();
    while begun.elapsed() < START {
        if let Some(status) = child.try_wait()? {
            let log = fs::read_to_string(directory.join("log")).unwrap_or_default();
            return Err(io::Error::other(format!("sshd ended: {status}: {log}")));
        }
        if answers(port) {
            return Ok(child);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
    Err(io::Error::other("sshd does not answer"))
}

fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    let mut banner = [0; 4];
    stream
        .set_read_timeout(Some(Duration::from_secs(2)))
        .is_ok()
        && stream.read_exact(&mut banner).is_ok()
        && &banner == b"SSH-"
}

/// Makes a key pair, ed25519, without a passphrase.
pub fn keygen(path: &Path) -> io::Result<()> {
    say(Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f"])
        .arg(path))?;
    Ok(())
}

/// Makes a user with an empty home, who may log in with a key. Root only; one that is there stays as it is.
pub fn make_user(name: &str, shell: &str) -> io::Result<()> {
    // tests run at once: another may just be making it
    for _ in 0..20 {
        if say(Command::new("id").arg("-u").arg(name)).is_ok() {
            return Ok(());
        }
        let made = say(Command::new("useradd")
            .args(["--create-home", "--skel", "/var/empty", "--shell", shell])
            // no password is this, and not locked
            .args(["--password", "*", name]));
        if made.is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Err(io::Error::other(format!("user {name} cannot be made")))
}

/// Whether this runs as root.
pub fn is_root() -> io::Result<bool> {
    Ok(say(Command::new("id").arg("-u"))? == "0")
}

fn say(command: &mut Command) -> io::Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(io::Error::other(error));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
