//! Drives a command as an executor does, on this machine: `sh` for programs, plain sockets for the rest.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::time::{Duration, Instant};

use windlass_engine::command::{Command, Facts, InitContext, Seen, Turn};
use windlass_engine::registry::Registry;
use windlass_model::ids::{HostName, RunId, TaskId};
use windlass_model::outcome::Outcome;
use windlass_model::step::{As, Dial, Endpoint, Http, Reply, Run, Step};
use windlass_model::tasklist::Task;
use windlass_model::tree::Node;

/// What came of a command.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) outcome: Outcome,
    /// Log lines and those of waits.
    pub(crate) said: Vec<String>,
    /// How many steps were done.
    pub(crate) steps: usize,
    pub(crate) took: Duration,
}

impl Done {
    pub(crate) fn failure(&self) -> &str {
        match &self.outcome {
            Outcome::Failed(failure) => &failure.message,
            other => panic!("no failure: {other}"),
        }
    }
}

/// Programs find these directories first.
pub(crate) fn run_with(path: &[&Path], name: &str, args: serde_json::Value) -> Done {
    drive(&*make(name, args), path)
}

pub(crate) fn run(name: &str, args: serde_json::Value) -> Done {
    run_with(&[], name, args)
}

/// Through the registry: shape, types, the command's own checks.
pub(crate) fn make(name: &str, args: serde_json::Value) -> Box<dyn Command> {
    let mut registry = Registry::new();
    windlass_builtins::commands::register(&mut registry);
    let kind = registry.find_command(name).unwrap();
    let Node { value, .. } = Node::from(args);
    let windlass_model::tree::Value::Map(args) = value else {
        panic!("arguments are a map")
    };
    let task = Task {
        command: name.into(),
        args,
        ..Task::default()
    };
    let cx = InitContext {
        task: &task,
        id: TaskId::new(1, 1, 1),
        source: None,
        place: &"the test",
        path: &"task",
        base: Path::new("/"),
        pinned: &BTreeMap::new(),
    };
    let made = futures_executor(kind.initialize(&cx));
    made.unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn futures_executor<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

pub(crate) fn drive(command: &dyn Command, path: &[&Path]) -> Done {
    let facts = Facts {
        run: RunId::new("r1").unwrap(),
        task: TaskId::new(1, 1, 1),
        host: HostName::local(),
        now: 1_400_000_000,
        user: As::Login,
    };
    let began = Instant::now();
    let mut seen: Vec<Seen> = Vec::new();
    let mut said = Vec::new();
    let mut last = false;
    loop {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not end");
        let steps = match command.turn(&facts, &seen) {
            Turn::End(verdict) => {
                return Done {
                    outcome: verdict.outcome,
                    said,
                    steps: seen.len(),
                    took: began.elapsed(),
                };
            }
            _ if last => panic!("a turn after the last"),
            Turn::Do(steps) => steps,
            Turn::Last(steps) => {
                last = true;
                steps
            }
            Turn::Wait { delay, steps, say } => {
                said.extend(say);
                std::thread::sleep(delay);
                steps
            }
            Turn::Call(_) => panic!("no plugin here"),
        };
        for step in &steps {
            let reply = perform(step, path, &mut said);
            let wanted = reply.is_wanted(step);
            seen.push(Seen {
                reply,
                at: began.elapsed(),
            });
            if !wanted {
                break;
            }
        }
    }
}

fn perform(step: &Step, path: &[&Path], said: &mut Vec<String>) -> Reply {
    match step {
        Step::Run(run) => shell(run, path),
        Step::Dial(d) => dial(d).unwrap_or_else(|e| Reply::Impossible(e.to_string())),
        Step::Http(h) => http(h).unwrap_or_else(|e| Reply::Impossible(e.to_string())),
        Step::Log(say) => {
            said.push(say.message.to_string());
            Reply::Logged
        }
        Step::Put(_) => panic!("no files here"),
    }
}

fn shell(run: &Run, path: &[&Path]) -> Reply {
    let mut dirs: Vec<String> = path.iter().map(|p| p.display().to_string()).collect();
    dirs.push(std::env::var("PATH").unwrap());
    let mut process = Process::new("sh");
    process
        .arg("-c")
        .arg(&run.script)
        .env("PATH", dirs.join(":"))
        .stdin(Stdio::null());
    for (name, value) in &run.env {
        process.env(name, &*value.as_plain().unwrap());
    }
    if let Some(cwd) = &run.cwd {
        process.current_dir(cwd);
    }
    let out = process.output().unwrap();
    let status = out.status;
    Reply::Ran {
        status: status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap()),
        stdout: String::from_utf8_lossy(&out.stdout).into(),
        stderr: String::from_utf8_lossy(&out.stderr).into(),
    }
}

fn talk(mut stream: impl Read + Write, send: &str, answer: bool) -> std::io::Result<String> {
    stream.write_all(send.as_bytes())?;
    let mut text = Vec::new();
    if answer {
        stream.read_to_end(&mut text)?;
    }
    Ok(String::from_utf8_lossy(&text).into())
}

fn tcp(address: &str, seconds: u32) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(seconds.into())))?;
    Ok(stream)
}

fn dial(dial: &Dial) -> std::io::Result<Reply> {
    let send = dial.send.as_plain().unwrap();
    let answer = match &dial.to {
        Endpoint::Tcp(..) => talk(
            tcp(&dial.to.to_string(), dial.time_limit)?,
            &send,
            dial.answer,
        ),
        Endpoint::Unix(path) => talk(UnixStream::connect(path)?, &send, dial.answer),
    }?;
    Ok(Reply::Dialed { answer })
}

fn http(http: &Http) -> std::io::Result<Reply> {
    let url = http.url.as_plain().unwrap();
    let rest = url.strip_prefix("http://").unwrap();
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let body = http
        .body
        .as_ref()
        .map(|b| b.as_plain().unwrap().into_owned());
    let body = body.unwrap_or_default();
    let mut request = format!(
        "{} /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\nContent-Length: {}\r\n",
        http.method,
        body.len()
    );
    for (name, value) in &http.headers {
        request += &format!("{name}: {}\r\n", value.as_plain().unwrap());
    }
    request += &format!("\r\n{body}");
    let answer = talk(tcp(authority, http.time_limit)?, &request, true)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok());
    Ok(Reply::Http {
        status: status.ok_or_else(|| std::io::Error::other("no status line"))?,
        body: body.into(),
    })
}
