//! Clients and the operator: what they ask for, and what they are told.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::sleep;
use windlass_model::release::machine::Settled;
use windlass_model::release::{AgentKind, AgentName, JobId, JobState, ReleaseId, TransactionId};
use windlass_server::app::{App, Requester};
use windlass_server::auth::Identity;
use windlass_wire::connection::WireError;

use crate::link::{ANSWER, Do};
use crate::plan::{Say, Wish};
use crate::world::{CLIENT, World, name};

fn somebody(who: &str) -> Identity {
    Identity {
        name: who.to_owned(),
        about: Map::new(),
    }
}

fn request(number: u64, wish: &Wish) -> Map<String, Value> {
    let id = format!("request {number}");
    let data = match wish {
        Wish::Build { project, branch } => json!({
            "project": project, "action": "build", "branch": format!("b{branch}"), "request_id": id,
        }),
        Wish::Install {
            project,
            branch,
            environment,
        } => json!({
            "project": project, "action": "install", "env": environment, "branch": format!("b{branch}"),
            "request_id": id,
        }),
        Wish::Release {
            project,
            branch,
            environment,
        } => json!({
            "project": project, "action": "install", "env": environment, "release": format!("1.{branch}"),
            "request_id": id,
        }),
        Wish::Action => json!({"project": "p", "action": "migrate", "request_id": id}),
    };
    match data {
        Value::Object(data) => data,
        _ => Map::new(),
    }
}

/// A client asks until it is answered, some times at most.
pub(crate) async fn ask(world: World, number: u64, wish: Wish, tries: u64) {
    let data = request(number, &wish);
    let call: Do<TransactionId> = Arc::new(move |app: App| {
        let data = data.clone();
        Box::pin(async move {
            let identity = somebody("client");
            let who = Requester {
                identity: &identity,
                address: "",
            };
            Ok(app.request(who, data).await?.transaction)
        })
    });
    for _ in 0..tries {
        let answer = world.call(CLIENT, ANSWER, call.clone()).await;
        world.tell(|| format!("request {number}, {wish:?}: {answer:?}"));
        match answer {
            Ok(id) => {
                return world.data(|data, _| {
                    let request = format!("request {number}");
                    let kept = data.kept(&id).map(|kept| kept.whole.transaction.clone());
                    data.laws.answered(&request, &id, kept.as_ref());
                });
            }
            Err(error) if error.is_passing() => sleep(Duration::from_secs(1)).await,
            Err(_) => return,
        }
    }
}

/// An operator takes back what a request became.
pub(crate) async fn cancel(world: World, number: u64) {
    let wanted = format!("request {number}");
    let found = world.data(|data, _| {
        data.ids(|whole| {
            let id = whole.transaction.request.get("request_id");
            id.and_then(Value::as_str) == Some(wanted.as_str())
        })
    });
    let Some(id) = found.into_iter().next() else {
        return;
    };
    let of = id.clone();
    let call: Do<()> = Arc::new(move |app: App| {
        let id = of.clone();
        Box::pin(async move {
            let identity = somebody("operator");
            let who = Requester {
                identity: &identity,
                address: "",
            };
            app.cancel(who, &id).await.map(drop)
        })
    });
    let answer = world.call(CLIENT, ANSWER, call).await;
    world.tell(|| format!("{id} is taken back: {answer:?}"));
    if answer.is_ok() {
        world.data(|data, _| {
            let kept = data
                .kept(&id)
                .is_some_and(|kept| kept.whole.transaction.cancelled);
            data.laws
                .acknowledged(kept, || format!("{id} is taken back"));
        });
    }
}

/// The unknown jobs of which an operator can say what came of them, with what they say. They look at the machine: whether
/// anything goes on there, and what is there.
fn known(world: &World, say: Say) -> Vec<(TransactionId, JobId, Settled)> {
    let unknown = world.data(|data, _| data.jobs(|job| job.state == JobState::Unknown));
    let mut known = Vec::new();
    for (transaction, job) in unknown {
        let release = world.data(|data, _| {
            let kept = data.kept(&transaction)?;
            let transaction = &kept.whole.transaction;
            Some((
                transaction.environment.clone()?,
                transaction.release.clone()?,
            ))
        });
        let (Some((environment, release)), Some(agent), Some(target)) =
            (release, job.agent.clone(), job.target.clone())
        else {
            continue;
        };
        let place = (
            (agent.clone(), environment, target),
            release.project.clone(),
        );
        let busy = world.data(|data, _| data.laws.goes_on(&job.id));
        let state = world.state();
        let in_hand = state.in_hand.iter().any(|(of, _)| *of == job.id);
        let number = world
            .0
            .plan
            .agents
            .iter()
            .position(|a| a.name == agent.as_str());
        let machine = number.and_then(|number| state.machines.get(number));
        let there = machine.and_then(|m| m.disk.get(&place));
        let is_there = there.is_some_and(|there| there.by == job.id);
        if busy || in_hand {
            continue;
        }
        let settled = match (say, is_there) {
            (Say::Again, _) => Settled::Again,
            (Say::WhatIsThere, true) => Settled::Done,
            (Say::WhatIsThere, false) => Settled::Failed,
        };
        known.push((transaction, job.id, settled));
    }
    known
}

/// An operator settles what is unknown; gives how many jobs that were.
pub(crate) async fn settle(world: World, say: Say) -> usize {
    let known = known(&world, say);
    let count = known.len();
    for (id, job, settled) in known {
        let (of, its) = (id.clone(), job.clone());
        let call: Do<()> = Arc::new(move |app: App| {
            let (id, job) = (of.clone(), its.clone());
            Box::pin(async move {
                let identity = somebody("operator");
                let who = Requester {
                    identity: &identity,
                    address: "",
                };
                app.settle(who, &id, &job, settled).await.map(drop)
            })
        });
        let answer = world.call(CLIENT, ANSWER, call).await;
        world.tell(|| format!("{job} is settled as {settled:?}: {answer:?}"));
    }
    count
}

/// An operator does something to the whole.
async fn manage(world: &World, what: &str, call: Do<()>) -> Result<(), WireError> {
    let answer = world.call(CLIENT, ANSWER, call).await;
    world.tell(|| format!("{what}: {answer:?}"));
    answer
}

pub(crate) async fn reject(world: World, branch: u64) {
    let id: ReleaseId = name(&format!("p@1.{branch}"));
    let of = id.clone();
    let call: Do<()> = Arc::new(move |app: App| {
        let id = of.clone();
        Box::pin(async move {
            let identity = somebody("operator");
            let who = Requester {
                identity: &identity,
                address: "",
            };
            app.reject(who, &id, "it is bad").await.map(drop)
        })
    });
    if manage(&world, &format!("{id} is rejected"), call)
        .await
        .is_ok()
    {
        world.data(|data, _| {
            let kept = data.releases.get(&id).is_some_and(|r| r.rejected.is_some());
            data.laws.acknowledged(kept, || format!("{id} is rejected"));
        });
    }
}

fn who(world: &World, agent: usize) -> (AgentKind, AgentName) {
    let plan = &world.0.plan.agents[agent];
    (plan.kind, name(&plan.name))
}

pub(crate) async fn drain(world: World, agent: usize, on: bool) {
    let (kind, of) = who(&world, agent);
    let call: Do<()> = Arc::new(move |app: App| {
        let of = of.clone();
        Box::pin(async move { app.drain_agent(kind, &of, on).await.map(drop) })
    });
    let _ = manage(&world, &format!("agent {agent} is drained: {on}"), call).await;
}

pub(crate) async fn remove(world: World, agent: usize) {
    let (kind, of) = who(&world, agent);
    let call: Do<()> = Arc::new(move |app: App| {
        let of = of.clone();
        Box::pin(async move { app.remove_agent(kind, &of).await.map(drop) })
    });
    let _ = manage(&world, &format!("agent {agent} is removed"), call).await;
}
