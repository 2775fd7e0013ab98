//! Fetches the secrets that a run refers to: once, all together, before anything starts.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use windlass_engine::secrets::{Secrets, mask_value};
use windlass_model::{Diagnostic, Diagnostics, SecretRef, SecretValue};
use zeroize::Zeroizing;

/// How long a file or a program may take.
const LIMIT: Duration = Duration::from_secs(30);
/// Bytes of a secret.
const MAX_SIZE: usize = 64 << 10;
/// Bytes of a program's complaints that are shown.
const MAX_STDERR: usize = 2000;
/// Fetched at the same time.
const CONCURRENCY: usize = 16;

/// What went wrong, and what to do.
type Fault = (String, &'static str);

/// The values of `refs`. Files are relative to `base` (`~/` is `HOME` of `env`), programs run in it, without a shell,
/// each in a process group of its own that is killed after 30 s or when the future is dropped.
///
/// The error has every reference that could not be had, with its reason; never a value. May be called again.
pub async fn resolve(
    refs: &HashSet<SecretRef>,
    env: &(dyn Fn(&str) -> Option<String> + Sync),
    base: &Path,
) -> Result<Secrets, Diagnostics> {
    let mut refs: Vec<&SecretRef> = refs.iter().collect();
    refs.sort();
    let fetched: Vec<_> = stream::iter(refs)
        .map(|secret| async move { (secret, fetch(secret, env, base).await) })
        .buffered(CONCURRENCY)
        .collect()
        .await;
    let mut values = HashMap::new();
    let mut problems = Diagnostics::new();
    for (secret, value) in fetched {
        match value {
            Ok(value) => {
                values.insert(secret.clone(), value);
            }
            Err((why, hint)) => {
                problems.push(Diagnostic::error(format!("{secret}: {why}")).hint(hint));
            }
        }
    }
    let secrets = Secrets::new(values);
    for problem in &mut problems.0 {
        problem.message = secrets.mask(std::mem::take(&mut problem.message));
    }
    problems.or(secrets)
}

async fn fetch(
    secret: &SecretRef,
    env: &(dyn Fn(&str) -> Option<String> + Sync),
    base: &Path,
) -> Result<SecretValue, Fault> {
    match secret {
        SecretRef::Env(name) => match env(name) {
            None => Err((
                "the environment variable is not set".into(),
                "set it, or use !file or !command",
            )),
            Some(value) => not_empty(value),
        },
        SecretRef::File(path) => {
            let path = match (path.strip_prefix("~/"), env("HOME")) {
                (Some(tail), Some(home)) => Path::new(&home).join(tail),
                _ => base.join(path),
            };
            let shown = path.display().to_string();
            let reading = tokio::task::spawn_blocking(move || read(path));
            let bytes = match tokio::time::timeout(LIMIT, reading).await {
                Ok(Ok(read)) => read.map_err(|why| {
                    (
                        format!("cannot read {shown}: {why}"),
                        "name a readable file; relative paths start at the config's folder",
                    )
                })?,
                Ok(Err(e)) => return Err((e.to_string(), "try again")),
                Err(_) => {
                    return Err((
                        format!("reading {shown} took more than 30 s"),
                        "is its file system there?",
                    ));
                }
            };
            text(bytes)
        }
        SecretRef::Command(words) => text(run(words, base).await?),
    }
}

/// One trailing line break is not part of a secret.
fn text(bytes: Zeroizing<Vec<u8>>) -> Result<SecretValue, Fault> {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => not_empty(text.to_owned()),
        Err(_) => Err((
            "its value is not UTF-8".into(),
            "encode it, for example as base64",
        )),
    }
}

fn not_empty(value: String) -> Result<SecretValue, Fault> {
    match value.as_str() {
        "" => Err((
            "its value is empty".into(),
            "take the reference out if no secret is wanted",
        )),
        _ => Ok(SecretValue::new(value)),
    }
}

fn read(path: PathBuf) -> Result<Zeroizing<Vec<u8>>, io::Error> {
    let odd = |why: &str| io::Error::new(io::ErrorKind::InvalidInput, why);
    // Looked at before opening: opening a pipe would wait for its writer.
    if !std::fs::metadata(&path)?.is_file() {
        return Err(odd("not a regular file"));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_SIZE + 1));
    std::fs::File::open(path)?
        .take(MAX_SIZE as u64 + 1)
        .read_to_end(&mut bytes)?;
    match bytes.len() {
        0..=MAX_SIZE => Ok(bytes),
        _ => Err(odd("larger than 64 KiB")),
    }
}

/// Kills a process group unless told otherwise: when time is up, and when nobody waits any more.
struct Group(Option<rustix::process::Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

async fn run(words: &[String], base: &Path) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let Some((program, arguments)) = words.split_first() else {
        return Err((
            "the command is empty".into(),
            "write !command [program, argument, ...]",
        ));
    };
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .current_dir(base)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| {
            (
                format!("cannot start {program} in {}: {e}", base.display()),
                "name an executable; no shell is involved",
            )
        })?;
    let _group = Group(
        child
            .id()
            .and_then(|id| rustix::process::Pid::from_raw(id.cast_signed())),
    );
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (mut out, mut err) = (Zeroizing::new(Vec::with_capacity(MAX_SIZE + 1)), Vec::new());
    let ended = tokio::time::timeout(LIMIT, async {
        let reading = async {
            tokio::join!(
                drain(stdout, &mut out, MAX_SIZE + 1),
                drain(stderr, &mut err, MAX_STDERR)
            );
        };
        tokio::pin!(reading);
        tokio::select! {
            () = &mut reading => child.wait().await,
            status = child.wait() => {
                // What it leaves behind may hold the pipes open: what it has written itself is there by now.
                let _ = tokio::time::timeout(Duration::from_secs(1), &mut reading).await;
                status
            }
        }
    });
    let status = match ended.await {
        Err(_) => {
            return Err((
                "the command took more than 30 s and was killed".into(),
                "does it wait for input? It has none",
            ));
        }
        Ok(Err(e)) => return Err((format!("cannot wait for the command: {e}"), "try again")),
        Ok(Ok(status)) => status,
    };
    if out.len() > MAX_SIZE {
        return Err((
            "the command wrote more than 64 KiB".into(),
            "a secret is wanted on its standard output",
        ));
    }
    if !status.success() {
        // what it has printed may be the secret all the same, and its complaints may quote it
        let printed = Zeroizing::new(String::from_utf8_lossy(&out).into_owned());
        let said = mask_value(printed.trim(), String::from_utf8_lossy(&err).into_owned());
        let said = match said.trim() {
            "" => String::new(),
            said => format!(": {said}"),
        };
        return Err((
            format!("the command failed ({status}){said}"),
            "run it by hand in the config's folder",
        ));
    }
    Ok(out)
}

/// Keeps the first `limit` bytes and reads on to the end, so that the writer never waits.
async fn drain(pipe: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>, limit: usize) {
    let Some(mut pipe) = pipe else {
        return;
    };
    let mut buffer = Zeroizing::new([0u8; 8192]);
    while let Ok(count @ 1..) = pipe.read(&mut buffer[..]).await {
        let room = limit.saturating_sub(into.len()).min(count);
        into.extend_from_slice(buffer.get(..room).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn command(script: &str) -> SecretRef {
        SecretRef::Command(["sh", "-c", script].map(str::to_owned).into())
    }

    async fn one(secret: SecretRef, base: &Path) -> Result<String, String> {
        let env = |name: &str| (name == "TOKEN").then(|| "t0ken".to_owned());
        match resolve(&HashSet::from([secret.clone()]), &env, base).await {
            Ok(secrets) => Ok(secrets.get(&secret).unwrap().expose().to_owned()),
            Err(problems) => Err(problems.to_string()),
        }
    }

    #[tokio::test]
    async fn values_lose_one_line_break() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("s"), "a b\n\n").unwrap();
        let file = |name: &str| SecretRef::File(name.into());
        assert_eq!(
            one(SecretRef::Env("TOKEN".into()), dir.path())
                .await
                .unwrap(),
            "t0ken"
        );
        assert_eq!(one(file("s"), dir.path()).await.unwrap(), "a b\n");
        let absolute = dir.path().join("s").to_str().unwrap().to_owned();
        assert_eq!(one(file(&absolute), Path::new("/")).await.unwrap(), "a b\n");
        assert_eq!(
            one(command("cat s; echo x"), dir.path()).await.unwrap(),
            "a b\n\nx"
        );
        assert_eq!(
            one(command("printf 'x\\r\\n'"), dir.path()).await.unwrap(),
            "x"
        );
    }

    #[tokio::test]
    async fn every_failure_is_told_at_once_and_no_value() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("large"), vec![b'x'; MAX_SIZE + 1]).unwrap();
        std::fs::write(dir.path().join("full"), vec![b'x'; MAX_SIZE]).unwrap();
        std::fs::write(dir.path().join("empty"), "\n").unwrap();
        std::fs::write(dir.path().join("binary"), [0xff, 0xfe]).unwrap();
        let file = |name: &str| SecretRef::File(name.into());
        let refs = HashSet::from([
            SecretRef::Env("ABSENT".into()),
            file("large"),
            file("full"),
            file("empty"),
            file("binary"),
            file("missing"),
            file("."),
            file("/dev/zero"),
            command("echo hidden; echo seen, not hidden >&2; exit 3"),
            SecretRef::Command(vec!["/no/such/program".into()]),
            SecretRef::Command(vec![]),
            command("head -c 100000 /dev/zero"),
        ]);
        let problems = resolve(&refs, &|_| None, dir.path()).await.unwrap_err();
        let text = problems.to_string();
        assert_eq!(problems.0.len(), refs.len() - 1, "{text}");
        assert!(
            problems
                .0
                .iter()
                .all(|p| p.hint.is_some() && p.message.starts_with("<secret: "))
        );
        assert!(
            text.contains("seen, not ***") && text.contains("exit status: 3"),
            "{text}"
        );
        assert!(
            !text.contains("hidden\n") && !text.contains(": hidden"),
            "{text}"
        );
        for part in [
            "env ABSENT",
            "file large",
            "64 KiB",
            "not UTF-8",
            "file missing",
            "/no/such/program",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[tokio::test]
    async fn commands_run_side_by_side_and_leave_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let refs: HashSet<_> = (0..8)
            .map(|i| command(&format!("sleep 0.5; echo value{i}")))
            .collect();
        let started = Instant::now();
        assert!(resolve(&refs, &|_| None, dir.path()).await.is_ok());
        assert!(
            started.elapsed() < Duration::from_secs(3),
            "{:?}",
            started.elapsed()
        );

        // What stays behind holds the output open; it is not waited for, and it is ended.
        let started = Instant::now();
        let left = command("sleep 60 & echo $! > pid; echo v");
        assert_eq!(one(left, dir.path()).await.unwrap(), "v");
        assert!(started.elapsed() < Duration::from_secs(10));
        gone(dir.path()).await;
    }

    #[tokio::test]
    async fn an_abandoned_command_is_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let slow = one(command("sleep 60 & echo $! > pid; wait"), dir.path());
        assert!(
            tokio::time::timeout(Duration::from_secs(1), slow)
                .await
                .is_err()
        );
        gone(dir.path()).await;
    }

    #[tokio::test]
    async fn a_command_has_thirty_seconds() {
        let dir = tempfile::tempdir().unwrap();
        let slow = one(command("sleep 60 & echo $! > pid; wait"), dir.path());
        let clock = async {
            while !std::fs::read_to_string(dir.path().join("pid")).is_ok_and(|p| p.ends_with('\n'))
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            tokio::time::pause();
            tokio::time::advance(LIMIT).await;
            tokio::time::resume();
        };
        let (slow, ()) = tokio::join!(slow, clock);
        let error = slow.unwrap_err();
        assert!(error.contains("30 s"), "{error}");
        gone(dir.path()).await;
    }

    /// Waits until the process of the file `pid` runs no more.
    async fn gone(dir: &Path) {
        let pid = std::fs::read_to_string(dir.join("pid")).unwrap();
        let stat = format!("/proc/{}/stat", pid.trim());
        for _ in 0..500 {
            match std::fs::read_to_string(&stat) {
                Ok(text) if !text.contains(") Z ") => {}
                _ => return,
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("process {pid} is still there");
    }
}
