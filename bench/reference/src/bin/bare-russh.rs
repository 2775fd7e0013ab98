//! russh with nothing around it: what a program costs that only does the work.
//!
//! `bare-russh --user U --key FILE --known FILE --port P --hosts FILE exec TIMES COMMAND` runs COMMAND that often on each
//! host, each time as a process of its own, one after the other; `... put FILE DIRECTORY` streams FILE to `cat` on each,
//! into the directory there that is called as the host; `... put FILE DIRECTORY AHEAD SHA256` has no more than about AHEAD bytes
//! on their way, and has `openssl` there look at what arrived: the least that a verified file can cost.
//! All hosts at once. It checks that the host key is one of those in the file, and a status of 0, and nothing else.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, Handle};
use russh::keys::{PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{ChannelMsg, ChannelReadHalf, Disconnect, Preferred, cipher};
use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The size of a write of a file.
const CHUNK: usize = 256 * 1024;
/// How long the other side may take for a write.
const STUCK: Duration = Duration::from_secs(30);

struct Keys(Arc<Vec<PublicKey>>);

impl client::Handler for Keys {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> std::result::Result<bool, russh::Error> {
        Ok(match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => self
                .0
                .iter()
                .any(|known| known.key_data() == key.key_data()),
            PublicKeyOrCertificate::Certificate(_) => false,
        })
    }
}

#[derive(Clone)]
enum Work {
    Exec(usize, String),
    Put(String, String, Option<Verified>),
}

/// How a file is sent that is looked at afterwards.
#[derive(Clone)]
struct Verified {
    ahead: u32,
    sha256: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut options: HashMap<String, String> = HashMap::new();
    let mut rest = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.strip_prefix("--") {
            Some(name) => {
                options.insert(
                    name.into(),
                    args.next().ok_or("an option without its value")?,
                );
            }
            None => rest.push(arg),
        }
    }
    let option = |name: &str| {
        options
            .get(name)
            .cloned()
            .ok_or(format!("--{name} is missing"))
    };
    let work = match &rest[..] {
        [verb, times, command] if verb == "exec" => Work::Exec(times.parse()?, command.clone()),
        [verb, file, directory] if verb == "put" => {
            Work::Put(file.clone(), directory.clone(), None)
        }
        [verb, file, directory, ahead, sha256] if verb == "put" => {
            let verified = Verified {
                ahead: ahead.parse()?,
                sha256: sha256.clone(),
            };
            Work::Put(file.clone(), directory.clone(), Some(verified))
        }
        _ => return Err("exec TIMES COMMAND, or put FILE DIRECTORY [AHEAD SHA256]".into()),
    };
    let user: Arc<str> = option("user")?.into();
    let port: u16 = option("port")?.parse()?;
    let known = std::fs::read_to_string(option("known")?)?
        .lines()
        .map(|line| PublicKey::from_openssh(line).map_err(Into::into))
        .collect::<Result<Vec<_>>>()?;
    let known = Arc::new(known);
    let key = Arc::new(russh::keys::load_secret_key(option("key")?, None)?);
    let config = Arc::new(client::Config {
        nodelay: true,
        preferred: Preferred {
            // as Windlass: both ends have AES in hardware
            cipher: std::borrow::Cow::Borrowed(&[cipher::AES_128_GCM]),
            ..Preferred::default()
        },
        ..client::Config::default()
    });
    let hosts = std::fs::read_to_string(option("hosts")?)?;
    let mut running = JoinSet::new();
    for host in hosts.split_whitespace().map(str::to_owned) {
        let (config, known, key, user, work) = (
            config.clone(),
            known.clone(),
            key.clone(),
            user.clone(),
            work.clone(),
        );
        running.spawn(async move {
            let handler = Keys(known);
            let mut session = client::connect(config, (host.as_str(), port), handler).await?;
            let key = PrivateKeyWithHashAlg::new(key, None);
            if !session.authenticate_publickey(&*user, key).await?.success() {
                return Err(format!("{host} does not let {user} in").into());
            }
            match work {
                Work::Exec(times, command) => {
                    for _ in 0..times {
                        exec(&session, &command).await?;
                    }
                }
                Work::Put(file, directory, verified) => {
                    let name = file.rsplit('/').next().unwrap_or_default();
                    let to = format!("{directory}/{host}/{name}");
                    let ahead = verified.as_ref().map_or(u32::MAX, |v| v.ahead);
                    put(&session, &file, &to, ahead).await?;
                    if let Some(Verified { sha256, .. }) = verified {
                        let look = format!("openssl dgst -sha256 <'{to}' | grep -q {sha256}");
                        exec(&session, &look).await?;
                    }
                }
            }
            session
                .disconnect(Disconnect::ByApplication, "", "")
                .await?;
            Result::Ok(())
        });
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    Ok(())
}

async fn exec(session: &Handle<Keys>, command: &str) -> Result<()> {
    let channel = session.channel_open_session().await?;
    channel.exec(true, command).await?;
    let (mut read, _write) = channel.split();
    ended(&mut read).await
}

async fn put(session: &Handle<Keys>, file: &str, to: &str, ahead: u32) -> Result<()> {
    let channel = session.channel_open_session().await?;
    channel.exec(true, format!("cat > '{to}'")).await?;
    let (mut read, write) = channel.split();
    let mut source = tokio::fs::File::open(file).await?;
    source.set_max_buf_size(CHUNK);
    let mut buffer = vec![0; CHUNK];
    // bytes that are on their way, as far as the other side says how much more it would take
    let (mut away, mut most) = (0u32, 0u32);
    loop {
        while away >= ahead {
            match tokio::time::timeout(STUCK, read.wait()).await? {
                Some(ChannelMsg::WindowAdjusted { new_size }) => {
                    most = most.max(new_size);
                    away = most - new_size;
                }
                Some(ChannelMsg::ExitStatus { .. } | ChannelMsg::Close) | None => {
                    return Err(format!("cat > {to} ended too early").into());
                }
                Some(_) => {}
            }
        }
        let length = source.read(&mut buffer).await?;
        if length == 0 {
            break;
        }
        // a channel that was closed meanwhile takes nothing, and says so to nobody
        tokio::time::timeout(STUCK, write.data(&buffer[..length])).await??;
        away = away.saturating_add(u32::try_from(length)?);
    }
    write.eof().await?;
    ended(&mut read).await
}

async fn ended(channel: &mut ChannelReadHalf) -> Result<()> {
    let mut status = None;
    while let Some(message) = channel.wait().await {
        if let ChannelMsg::ExitStatus { exit_status } = message {
            status = Some(exit_status);
        }
    }
    match status {
        Some(0) => Ok(()),
        other => Err(format!("exit status {other:?}").into()),
    }
}
