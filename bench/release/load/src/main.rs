//! What the benchmarks load Windlass with, where Python would be the bottleneck. Each word prints one JSON object.

#![expect(clippy::print_stdout, reason = "a program of the benchmarks")]

mod agents;
mod executor;
mod idle;
mod queue;

use std::collections::HashMap;
use std::process::ExitCode;
use std::str::FromStr;

const USAGE: &str = "windlass-bench-load WORD KEY=VALUE...
    queue     jobs= hosts=                       the job queue alone
    executor  hosts= tasks=                      the executor on hosts that do nothing: tasks are per host
    agents    url= builders= installers= rate= seconds=   long-polling agents, and jobs for them";

/// What was given as `KEY=VALUE`.
struct Given(HashMap<String, String>);

impl Given {
    fn get<T: FromStr>(&self, key: &str) -> Result<T, String> {
        let text = self
            .0
            .get(key)
            .ok_or_else(|| format!("{key}= is missing"))?;
        text.parse().map_err(|_| format!("{key}={text} is no good"))
    }
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let word = words.next().unwrap_or_default();
    let pairs = words.filter_map(|word| {
        let (key, value) = word.split_once('=')?;
        Some((key.to_owned(), value.to_owned()))
    });
    let given = Given(pairs.collect());
    let told = match word.as_str() {
        "queue" => queue::run(&given),
        "executor" => executor::run(&given),
        "agents" => agents::run(&given),
        _ => Err(USAGE.to_owned()),
    };
    match told {
        Ok(told) => {
            println!("{told}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            println!("{}", serde_json::json!({ "error": why }));
            ExitCode::FAILURE
        }
    }
}

/// A runtime of as many threads as there are cores.
fn runtime() -> Result<tokio::runtime::Runtime, String> {
    let made = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    made.map_err(|e| e.to_string())
}

/// The value below which that share of the sorted values lies.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let place = (last as f64 * share).round() as usize;
    sorted.get(place).copied().unwrap_or_default()
}

/// Median, the rarer ones, and the worst.
fn spread(mut values: Vec<f64>) -> serde_json::Value {
    values.sort_by(f64::total_cmp);
    serde_json::json!({
        "count": values.len(),
        "median": quantile(&values, 0.5),
        "p90": quantile(&values, 0.9),
        "p99": quantile(&values, 0.99),
        "max": values.last(),
    })
}
