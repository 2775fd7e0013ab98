//! The whole executor on hosts that do nothing: prepared, queued, run, every event told to a sink.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use windlass_engine::events::{Events, Sink};
use windlass_engine::executor::{self, Options};
use windlass_engine::interrupt::interrupt;
use windlass_engine::registry::Registry;
use windlass_engine::secrets::Secrets;
use windlass_model::RunId;
use windlass_model::event::{Event, RunEnd};
use windlass_model::tasklist::from_tree;
use windlass_model::tree::Node;

use crate::idle::IdleHosts;
use crate::{Given, runtime};

/// Jobs of a stage at once.
const CONCURRENCY: u32 = 50;

/// Counts what it is told.
struct Counting(usize);

impl Sink for Counting {
    fn accept(&mut self, events: &[Event]) -> std::io::Result<()> {
        self.0 += events.len();
        Ok(())
    }
}

/// Runs a stage in which every task is a job of its own.
pub(crate) fn run(given: &Given) -> Result<Value, String> {
    let (hosts, tasks): (usize, usize) = (given.get("hosts")?, given.get("tasks")?);
    let task = |host: usize, n: usize| {
        json!({
            "command": "execute_command", "remote_host": format!("host{host:04}"),
            "run": format!("echo {n}"), "safe_to_repeat": true,
        })
    };
    let all: Vec<Value> = (0..hosts)
        .flat_map(|host| (0..tasks).map(move |n| task(host, n)))
        .collect();
    let jobs = all.len();
    let stage = json!({
        "name": "All", "concurrency": CONCURRENCY, "concurrency_per_host": 2, "tasks": all,
    });
    let tree = Node::from(json!({ "name": "Idle", "stages": [stage] }));
    runtime()?.block_on(perform(tree, jobs, hosts))
}

async fn perform(tree: Node, jobs: usize, hosts: usize) -> Result<Value, String> {
    let mut registry = Registry::new();
    windlass_builtins::commands::register(&mut registry);
    let tasklist = from_tree(tree, None).map_err(|faults| faults.to_string())?;
    let (events, told) = Events::start(vec![Box::new(Counting(0))]);
    let began = Instant::now();
    let prepared = executor::prepare(&tasklist, &registry, Path::new("/"), &events).await;
    let prepared = prepared.map_err(|faults| faults.to_string())?;
    let ready = began.elapsed().as_secs_f64();
    let (_interrupter, interrupt) = interrupt();
    let options = Options {
        run: RunId::new("bench").ok_or("no run id")?,
        by: "bench".into(),
        hosts: Arc::new(IdleHosts),
        secrets: Arc::new(Secrets::default()),
        events: events.clone(),
        interrupt,
        user: None,
        without: Vec::new(),
        resume: None,
        locks: None,
    };
    let began = Instant::now();
    let report = executor::run(&prepared, options).await;
    let ran = began.elapsed().as_secs_f64();
    events.end().await;
    let _ = told.await;
    if report.end != RunEnd::Succeeded {
        return Err(format!("it ended {:?}", report.end));
    }
    Ok(json!({
        "jobs": jobs, "hosts": hosts,
        "prepare_us_a_job": ready * 1e6 / jobs as f64,
        "run_us_a_job": ran * 1e6 / jobs as f64,
        "seconds": ran,
    }))
}
