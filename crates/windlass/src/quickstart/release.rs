//! The release system in this process: its three services, a request, and what came of it.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use windlass_model::release::{AgentKind, Status};
use windlass_wire::connection::{Connection, Login, WireError};
use windlass_wire::rest::Client;

use super::installations::Installations;
use crate::ending::Ending;
use crate::installation::DEFAULT_NAME;
use crate::output::{print, say};
use crate::program::Program;
use crate::serving::{Handle, Manner, Orders, serve_builder, serve_installer, serve_manager};

/// How long the services may take until they know of each other.
const START: Duration = Duration::from_secs(30);
/// How long the request may take.
const REQUEST: Duration = Duration::from_secs(120);
/// How long the services may take to end.
const END: Duration = Duration::from_secs(30);
/// How often it is looked whether they are there.
const LOOK: Duration = Duration::from_millis(50);
/// Files that are shown at most.
const SHOWN: usize = 20;

/// The manager, the builder and the installer, as they run.
pub(crate) struct Services {
    /// In the order in which they are to end: the manager last, since the others tell it how they ended.
    agents: Vec<Handle>,
    manager: Handle,
    running: JoinSet<Result<(), Ending>>,
    client: Client,
}

impl Services {
    /// Starts them; returns when the manager knows the builder and the installer.
    pub(crate) async fn start(
        program: &Program,
        installations: &Installations,
    ) -> Result<Self, Ending> {
        let connection = Connection::new(&installations.url, Login::Anonymous, None);
        let client = Client::new(connection.map_err(|e| Ending::own("the manager's URL", e))?);
        let mut running = JoinSet::new();
        let (place, for_it) = (installations.manager.clone(), program.clone());
        let manager = run(&mut running, move |manner| async move {
            serve_manager(&for_it, place, DEFAULT_NAME, manner).await
        });
        let up = async |client: &Client| client.projects().await.map(|_| true);
        until(&mut running, &client, up).await?;
        let (place, for_it) = (installations.builder.clone(), program.clone());
        let builder = run(&mut running, move |manner| async move {
            serve_builder(&for_it, place, DEFAULT_NAME, manner).await
        });
        let (place, for_it) = (installations.installer.clone(), program.clone());
        let installer = run(&mut running, move |manner| async move {
            serve_installer(&for_it, place, DEFAULT_NAME, manner).await
        });
        let registered = async |client: &Client| {
            let agents = client.agents().await?;
            let has = |kind| agents.iter().any(|a| a.kind == kind && a.online);
            Ok(has(AgentKind::Builder) && has(AgentKind::Installer))
        };
        until(&mut running, &client, registered).await?;
        Ok(Self {
            agents: vec![builder, installer],
            manager,
            running,
            client,
        })
    }

    /// Asks for the project `template` from trunk to be installed into `test`, and prints what happens until it is over.
    pub(crate) async fn request(&self) -> Result<(), Ending> {
        let done = timeout(REQUEST, self.watch()).await;
        let late = || Ending::Own("the request did not end within 120 s".into());
        match done.map_err(|_| late())?.map_err(unanswered)? {
            Status::InstallCompleted => Ok(()),
            _ => Err(Ending::Failed),
        }
    }

    async fn watch(&self) -> Result<Status, WireError> {
        let data =
            json!({"project": "template", "trunk": true, "action": "install", "env": "test"});
        let Value::Object(data) = data else {
            return Err(WireError::Refused("no struct".into()));
        };
        let asked = self.client.request(&data).await?;
        let id = asked.transaction;
        show(&format!("{id}: {}\n", asked.status.as_str()));
        let (mut told, mut shown) = (0, asked.status);
        let mut seen = self.client.transaction(&id).await?;
        loop {
            let history = self.client.history(&id).await?;
            for entry in history.iter().skip(told).filter(|e| e.what != "leased") {
                let line = format!(
                    "    {:<20} {:<16} {}",
                    entry.actor, entry.what, entry.detail
                );
                show(&format!("{}\n", line.trim_end()));
            }
            told = history.len();
            let status = seen.transaction.status;
            if status != shown {
                shown = status;
                show(&format!("{id}: {}\n", status.as_str()));
            }
            if seen.transaction.ended.is_some() || status == Status::Rejected {
                return Ok(status);
            }
            seen = self.client.news(&seen, 5).await?;
        }
    }

    /// Waits until one of them ends by itself, which none does while all is well.
    pub(crate) async fn broken(&mut self) -> Ending {
        match self.running.join_next().await {
            Some(ended) => early(ended),
            None => Ending::Own("no service runs".into()),
        }
    }

    /// Stops them; what runs in them settles first.
    pub(crate) async fn stop(mut self) -> Result<(), Ending> {
        self.agents.drain(..).for_each(Handle::stop);
        let ended = timeout(END, async {
            while self.running.len() > 1 {
                ended(self.running.join_next().await)?;
            }
            self.manager.stop();
            while !self.running.is_empty() {
                ended(self.running.join_next().await)?;
            }
            Ok(())
        });
        let late = |_| Err(Ending::Own("the services did not stop within 30 s".into()));
        ended.await.unwrap_or_else(late)
    }
}

/// Runs a service on a thread of its own, with a handle on it.
fn run<F>(
    running: &mut JoinSet<Result<(), Ending>>,
    service: impl FnOnce(Manner) -> F + Send + 'static,
) -> Handle
where
    F: Future<Output = Result<(), Ending>>,
{
    let (handle, orders) = Orders::of_handle();
    let manner = Manner {
        orders,
        aloud: false,
    };
    let runtime = tokio::runtime::Handle::current();
    running.spawn_blocking(move || runtime.block_on(service(manner)));
    handle
}

fn ended(ended: Option<Result<Result<(), Ending>, JoinError>>) -> Result<(), Ending> {
    match ended {
        Some(Err(panic)) => Err(Ending::own("a service broke", panic)),
        Some(Ok(ended)) => ended,
        None => Ok(()),
    }
}

/// Why a service ended that should not have.
fn early(end: Result<Result<(), Ending>, JoinError>) -> Ending {
    match ended(Some(end)) {
        Err(ending) => ending,
        Ok(()) => Ending::Own("a service ended by itself: see its log".into()),
    }
}

/// Asks again and again until it is so, or a service ends.
async fn until(
    running: &mut JoinSet<Result<(), Ending>>,
    client: &Client,
    is_so: impl AsyncFn(&Client) -> Result<bool, WireError>,
) -> Result<(), Ending> {
    let asking = async {
        let mut last = None;
        let deadline = tokio::time::Instant::now() + START;
        while tokio::time::Instant::now() < deadline {
            match is_so(client).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => last = Some(error),
            }
            sleep(LOOK).await;
        }
        let why = last.map_or_else(String::new, |error| format!(": {error}"));
        Err(Ending::Own(format!(
            "the services did not find each other within 30 s{why}"
        )))
    };
    tokio::select! {
        result = asking => result,
        Some(end) = running.join_next() => Err(early(end)),
    }
}

fn unanswered(error: WireError) -> Ending {
    Ending::own("the manager", error)
}

/// What cannot be printed is nobody's loss here: the end is.
fn show(text: &str) {
    let _ = print(text);
}

/// Prints the files below a directory, but for hidden ones.
pub(crate) fn show_files(directory: &Path) -> Result<(), Ending> {
    let mut files = Vec::new();
    collect(directory, &mut files).map_err(|e| Ending::own(directory.display(), e))?;
    files.sort();
    for file in &files {
        print(&format!("    {}\n", file.display()))?;
    }
    if files.is_empty() {
        return Err(Ending::Own(format!("{} is empty", directory.display())));
    }
    Ok(())
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if files.len() >= SHOWN {
            return Ok(());
        }
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        match entry.file_type()?.is_dir() {
            true => collect(&entry.path(), files)?,
            false => files.push(entry.path()),
        }
    }
    Ok(())
}

/// Says how to do the same from Python.
pub(crate) fn say_python(url: &str) {
    say(&format!(
        "\nThe same from Python:\n\n\
         \x20   from xmlrpc.client import ServerProxy\n\
         \x20   manager = ServerProxy({url:?})\n\
         \x20   credentials = dict(username=\"me\", password=\"\")\n\
         \x20   request = dict(project=\"template\", trunk=True, action=\"install\", env=\"test\")\n\
         \x20   transaction = manager.request_action(credentials, request)\n\
         \x20   manager.query_transaction(transaction)\n"
    ));
}
