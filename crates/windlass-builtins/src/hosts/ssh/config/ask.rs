//! Asks OpenSSH itself, `ssh -G`, about a host whose configuration only it can evaluate.

use std::io::Read;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::apply::Found;
use super::keys::{self, Proxy};

/// How long `ssh -G` may take, with the programs of `Match exec`.
const LIMIT: Duration = Duration::from_secs(5);
/// Bytes of its output.
const MAX_OUTPUT: u64 = 1 << 20;

/// What `ssh -G` says about `host`. Blocks for up to 5 s.
pub(super) fn ask(file: Option<&Path>, host: &str, local_user: &str) -> Result<Found, String> {
    let mut command = Command::new("ssh");
    command.arg("-G");
    if let Some(file) = file {
        command.arg("-F").arg(file);
    }
    command.args(["--", host]);
    let output = run(command).map_err(|why| {
        format!(
            "the ssh_config of `{host}` has conditions that only OpenSSH can evaluate (a Match other than all, host, \
             originalhost, user, localuser, final; or CanonicalizeHostname), and `ssh -G` failed: {why}. \
             Install openssh-client, or write the host's settings into a Host block above them"
        )
    })?;
    parse(&output, local_user)
        .map_err(|why| format!("cannot read what `ssh -G {host}` says: {why}"))
}

fn run(mut command: Command) -> Result<String, String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|e| format!("cannot start ssh: {e}"))?;
    let (stdout, stderr) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let status = match wait(&mut child) {
        Some(status) => status,
        None => {
            if let Some(group) = rustix::process::Pid::from_raw(child.id().cast_signed()) {
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
            let _ = child.wait();
            return Err(format!("no answer within {} s", LIMIT.as_secs()));
        }
    };
    // A program that Match exec left behind may hold the pipes open.
    let text = |r: mpsc::Receiver<String>| r.recv_timeout(Duration::from_secs(1)).ok();
    if !status.success() {
        let said = text(stderr).unwrap_or_default();
        return Err(said.trim().chars().take(500).collect());
    }
    text(stdout).ok_or_else(|| "its output does not end".to_owned())
}

fn wait(child: &mut Child) -> Option<std::process::ExitStatus> {
    let end = Instant::now() + LIMIT;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(5)),
            _ => return None,
        }
    }
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.by_ref().take(MAX_OUTPUT).read_to_end(&mut bytes);
        }
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

fn parse(output: &str, local_user: &str) -> Result<Found, String> {
    let mut found = Found::default();
    for line in output.lines() {
        let Some((key, value)) = line.split_once(' ') else {
            continue;
        };
        let words = || value.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let given = || (value != "none").then(|| value.to_owned());
        match key {
            "hostname" => found.host_name = Some(value.replace('%', "%%")),
            "port" => found.port = Some(value.parse().map_err(|_| line.to_owned())?),
            // It prints the local user where none is configured.
            "user" => found.user = (value != local_user).then(|| value.to_owned()),
            "identityfile" => found.identity_files.push(value.to_owned()),
            "identitiesonly" => found.identities_only = Some(value == "yes"),
            "proxycommand" => {
                if let Some(given) = given() {
                    found.proxy = Some(Proxy::Command(given));
                }
            }
            "proxyjump" => found.proxy = Some(keys::jump(value)?),
            "userknownhostsfile" => {
                found.user_known_hosts = Some(given().map_or_else(Vec::new, |_| words()))
            }
            "globalknownhostsfile" => {
                found.global_known_hosts = Some(given().map_or_else(Vec::new, |_| words()));
            }
            "connecttimeout" => {
                found.connect_timeout = value.parse().ok().map(Duration::from_secs);
            }
            "hostkeyalias" => found.host_key_alias = given(),
            "identityagent" => found.identity_agent = Some(value.to_owned()),
            _ => {}
        }
    }
    if found.host_name.is_none() {
        return Err("it names no hostname".into());
    }
    // All of the names that it tries by itself: none is configured.
    if found
        .identity_files
        .iter()
        .filter(|f| f.starts_with("~/.ssh/id_"))
        .count()
        >= 4
    {
        found
            .identity_files
            .retain(|f| !super::is_default_identity(f));
    }
    Ok(found)
}
