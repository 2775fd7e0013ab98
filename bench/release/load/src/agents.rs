//! Agents that wait for work by long polls, and requests at a steady rate: how long until a job is with a free agent.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use windlass_model::release::{Advertisement, JobSpec, TransactionId};
use windlass_wire::agent::{AgentClient, Finish, Outcome, PROTOCOL, Poll, Register};
use windlass_wire::connection::{Connection, Login, WireError};
use windlass_wire::rest::Client;

use crate::{Given, runtime, spread};

/// Registrations at once.
const AT_ONCE: usize = 64;
/// How long an idle agent's poll waits, in seconds: as real ones do.
const POLL: u32 = 30;
/// How long polls are given to settle before the first request.
const SETTLE: Duration = Duration::from_secs(5);
/// How long the last jobs may take to arrive.
const REST: Duration = Duration::from_secs(10);

/// A job that came to an agent.
type Came = (TransactionId, Instant);

/// Registers builders of project `bench` and installers, each of which is in an environment of its own; then asks for its
/// action `noop`, which builders do, `rate` times a second. From the moment that a request is sent until its job is with an agent.
pub(crate) fn run(given: &Given) -> Result<Value, String> {
    let url: String = given.get("url")?;
    let (builders, installers): (usize, usize) = (given.get("builders")?, given.get("installers")?);
    let (rate, seconds): (u32, u32) = (given.get("rate")?, given.get("seconds")?);
    let connection = Connection::new(&url, Login::Anonymous, None).map_err(|e| e.to_string())?;
    runtime()?.block_on(async {
        let began = Instant::now();
        let (came, mut arrived) = mpsc::unbounded_channel();
        register(&connection, builders, installers, &came).await?;
        let registered = began.elapsed().as_secs_f64();
        tokio::time::sleep(SETTLE).await;
        let asked = ask(Client::new(connection), rate, rate * seconds).await?;
        let mut when = HashMap::new();
        let end = tokio::time::Instant::now() + REST;
        while when.len() < asked.len() {
            match tokio::time::timeout_at(end, arrived.recv()).await {
                Ok(Some((id, at))) => when.entry(id).or_insert(at),
                _ => break,
            };
        }
        let millis = |(id, sent): (&TransactionId, &Instant)| {
            Some(when.get(id)?.duration_since(*sent).as_secs_f64() * 1e3)
        };
        let times: Vec<f64> = asked
            .iter()
            .map(|(id, sent)| (id, sent))
            .filter_map(millis)
            .collect();
        Ok(json!({
            "agents": builders + installers, "register_seconds": registered, "asked": asked.len(),
            "lost": asked.len() - times.len(), "ms": spread(times),
        }))
    })
}

async fn register(
    connection: &Connection,
    builders: usize,
    installers: usize,
    came: &mpsc::UnboundedSender<Came>,
) -> Result<(), String> {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut registering = JoinSet::new();
    for n in 0..builders + installers {
        let advertisement = match n < builders {
            true => Advertisement::Projects([name("bench")?].into()),
            false => Advertisement::Environments(BTreeMap::from([(
                name(&format!("env{n}"))?,
                [name("target")?].into(),
            )])),
        };
        let register = Register {
            protocol: PROTOCOL,
            kind: advertisement.kind(),
            name: name(&format!("agent{n}"))?,
            incarnation: "1".into(),
            token: None,
            slots: 1,
            advertisement,
            held: Vec::new(),
        };
        let client = AgentClient::new(connection.clone());
        let (room, came) = (room.clone(), came.clone());
        registering.spawn(async move {
            let permit = room.acquire_owned().await.map_err(|e| e.to_string())?;
            let registered = client
                .register(&register)
                .await
                .map_err(|e| e.to_string())?;
            drop(permit);
            tokio::spawn(work(client.with_credential(registered.credential), came));
            Ok::<_, String>(())
        });
    }
    while let Some(registered) = registering.join_next().await {
        registered.map_err(|e| e.to_string())??;
    }
    Ok(())
}

fn name<T: std::str::FromStr<Err = String>>(text: &str) -> Result<T, String> {
    text.parse()
}

/// Polls for ever, and does every job at once.
async fn work(client: AgentClient, came: mpsc::UnboundedSender<Came>) {
    let poll = Poll {
        incarnation: "1".into(),
        free: 1,
        wait_seconds: POLL,
        held: Vec::new(),
    };
    loop {
        let Ok(polled) = client.poll(&poll).await else {
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        for given in polled.jobs {
            let at = Instant::now();
            if let JobSpec::Build(build) = given.spec {
                // Nobody listens any more when it is over.
                let _ = came.send((build.transaction, at));
            }
            let finish = Finish {
                epoch: given.epoch,
                outcome: Outcome::Ran,
            };
            // What is not heard of is leased again, and is then not the first to come.
            if client.start(&given.job, given.epoch).await.is_ok() {
                let _ = client.finish(&given.job, &finish).await;
            }
        }
    }
}

/// Asks so often, at a steady rate; when each request was sent.
async fn ask(
    client: Client,
    rate: u32,
    count: u32,
) -> Result<Vec<(TransactionId, Instant)>, String> {
    let mut clock = tokio::time::interval(Duration::from_secs(1) / rate.max(1));
    let mut asking: JoinSet<Result<(TransactionId, Instant), WireError>> = JoinSet::new();
    for n in 0..count {
        clock.tick().await;
        let client = client.clone();
        let data = Map::from_iter([
            ("project".to_owned(), json!("bench")),
            ("action".to_owned(), json!("noop")),
            ("ticket".to_owned(), json!(format!("CHG-{n}"))),
        ]);
        asking.spawn(async move {
            let sent = Instant::now();
            let requested = client.request(&data).await?;
            Ok((requested.transaction, sent))
        });
    }
    let mut asked = Vec::with_capacity(count as usize);
    while let Some(requested) = asking.join_next().await {
        asked.push(
            requested
                .map_err(|e| e.to_string())?
                .map_err(|e| e.to_string())?,
        );
    }
    Ok(asked)
}
