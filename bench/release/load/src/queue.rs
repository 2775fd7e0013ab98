//! The job queue alone: what it costs to know which job may start next.

use std::collections::VecDeque;
use std::time::Instant;

use serde_json::{Value, json};
use windlass_engine::queue::{Limits, Queue};
use windlass_model::HostName;

use crate::Given;

/// Takes all jobs through the queue, in an order in which nearly all that wait do so for a full host.
pub(crate) fn run(given: &Given) -> Result<Value, String> {
    let (jobs, hosts): (usize, usize) = (given.get("jobs")?, given.get("hosts")?);
    let names: Vec<HostName> = (0..hosts)
        .map(|n| HostName::new(&format!("host{n:04}")))
        .collect();
    let on = |job: usize| names.get(job * hosts / jobs.max(1)).cloned();
    let all: Vec<Vec<HostName>> = (0..jobs).map(|job| on(job).into_iter().collect()).collect();
    let limits = Limits {
        concurrency: 500,
        per_host: Some(2),
        max_failures: 10,
    };
    let began = Instant::now();
    let mut queue = Queue::new(all, limits);
    let mut running = VecDeque::new();
    let mut done = 0;
    loop {
        while let Some(job) = queue.start() {
            running.push_back(job);
        }
        let Some(job) = running.pop_front() else {
            break;
        };
        queue.finished(job, false);
        done += 1;
    }
    let micros = began.elapsed().as_secs_f64() * 1e6;
    if done != jobs {
        return Err(format!("{done} of {jobs} jobs went through"));
    }
    Ok(json!({ "jobs": jobs, "hosts": hosts, "us_a_job": micros / jobs.max(1) as f64 }))
}
