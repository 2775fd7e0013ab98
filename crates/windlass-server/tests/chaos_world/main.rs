//! A simulated world: the real manager and the real loops of agents, in one thread, on a clock, a net and a store of ours, under
//! seeded schedules of requests and faults; laws are looked at after every step, and when everything has come to rest.
//!
//! Real are: all use cases of the manager with the state machines under them, the service of builders and installers, the fence and
//! its file. Ours are: the database (`data`, with the meaning of `Store`), HTTP (`link`), the work itself (`agents`), the time.
//!
//! `WINDLASS_SEED` chooses the same schedules again, `WINDLASS_CASE` one of them.

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation does")]
#![allow(clippy::panic, reason = "what tests share is a test, too")]

mod agents;
mod data;
mod flaws;
mod laws;
mod ledger;
mod link;
mod people;
mod plan;
mod run;
mod world;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use windlass_testkit::chaos::Trial;

use flaws::Flaw;
use laws::Broken;
use plan::Plan;
use run::{Ran, run};

/// Schedules that a sample has, and all.
const SAMPLE: u64 = 200;
const FULL: u64 = 10_000;
/// Whose schedules the sample is.
const SEED: u64 = 20_261_128;
/// Schedules in which a flaw must be found.
const FLAWED: u64 = 150;

/// A folder for what agents keep, in memory where there is one of the kind.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let mut builder = tempfile::Builder::new();
    builder.prefix("wl-world-");
    match builder.tempdir_in(memory) {
        Ok(folder) => folder,
        Err(_) => builder.tempdir().unwrap(),
    }
}

/// Runs a schedule in a fresh folder below.
fn lives(plan: &Plan, below: &Path) -> Ran {
    let folder: PathBuf = below.join("world");
    std::fs::create_dir_all(&folder).unwrap();
    let ran = run(plan, &folder);
    std::fs::remove_dir_all(&folder).unwrap();
    ran
}

/// Leaves out what is not needed to break the same law.
fn shortened(plan: &Plan, law: &str, below: &Path) -> Plan {
    let mut short = plan.clone();
    let mut left = 400;
    let mut part = short.parts();
    while let Some(next) = part.checked_sub(1) {
        part = next;
        left -= 1;
        let fewer = short.without(part);
        let broken = lives(&fewer, below).broken;
        if broken.is_some_and(|broken| broken.law == law) {
            short = fewer;
        }
        if left == 0 {
            break;
        }
    }
    short
}

fn told(trial: &Trial, case: u64, plan: &Plan, broken: &Broken, below: &Path) -> String {
    let short = shortened(plan, broken.law, below);
    let ran = lives(&short, below);
    let broken = ran.broken.unwrap_or_else(|| broken.clone());
    let seed = trial.seed();
    format!(
        "\"{}\" does not hold: {}\n  again: WINDLASS_SEED={seed} WINDLASS_CASE={case}\n  the schedule, shortened:\n{short}  \
         what happened:\n    {}\n",
        broken.law,
        broken.what,
        ran.story.join("\n    ")
    )
}

/// The cases to try: all, or the one that somebody names.
fn cases(count: u64) -> Vec<u64> {
    let one = std::env::var("WINDLASS_CASE")
        .ok()
        .and_then(|case| case.parse().ok());
    one.map_or_else(|| (0..count).collect(), |case: u64| vec![case])
}

#[test]
fn world_keeps_its_laws() {
    let trial = Trial::begin_with("world", SEED);
    let began = Instant::now();
    let cases = cases(trial.count(SAMPLE, FULL));
    let next = AtomicU64::new(0);
    let counts: Mutex<BTreeMap<&'static str, u64>> = Mutex::default();
    let faults: Mutex<Vec<String>> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(4));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let below = folder();
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed) as usize;
                    let Some(case) = cases.get(at).copied() else {
                        return;
                    };
                    if faults.lock().unwrap().len() >= 3 {
                        return;
                    }
                    let plan = Plan::new(trial.case(case));
                    let ran = lives(&plan, below.path());
                    for (what, many) in ran.counts {
                        *counts.lock().unwrap().entry(what).or_default() += many;
                    }
                    if let Some(broken) = ran.broken {
                        let told = told(&trial, case, &plan, &broken, below.path());
                        faults.lock().unwrap().push(told);
                    }
                }
            });
        }
    });
    let seconds = began.elapsed().as_secs_f64();
    let faults = faults.into_inner().unwrap();
    trial.report(format_args!(
        "{} schedules in {seconds:.1} s, {} broke a law",
        cases.len(),
        faults.len()
    ));
    for (what, many) in counts.into_inner().unwrap() {
        trial.report(format_args!("  {what}: {many}"));
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn world_is_the_same_again_for_the_same_seed() {
    let trial = Trial::begin_with("world_is_the_same_again", SEED);
    let below = folder();
    for case in 0..trial.count(8, 100) {
        let plan = Plan::new(trial.case(case));
        let story = |_| lives(&plan, below.path()).story;
        let [first, second] = [1, 2].map(story);
        let at = first.iter().zip(&second).position(|(one, two)| one != two);
        assert_eq!(
            at,
            None,
            "case {case}: {:#?}",
            at.map(|at| (&first[at.saturating_sub(5)..=at], &second[at]))
        );
        assert_eq!(first.len(), second.len(), "case {case}");
    }
}

#[test]
fn world_notices_each_flaw() {
    let trial = Trial::begin_with("world_notices_each_flaw", SEED);
    let below = folder();
    let mut unseen = Vec::new();
    for (flaw, laws) in Flaw::ALL {
        let mut found = None;
        for case in 0..FLAWED {
            let mut plan = Plan::new(trial.case(case));
            plan.flaw = Some(flaw);
            let broken = lives(&plan, below.path()).broken;
            if let Some(broken) = broken.filter(|broken| laws.contains(&broken.law)) {
                found = Some((case, broken));
                break;
            }
        }
        match found {
            Some((case, broken)) => {
                trial.report(format_args!(
                    "{flaw:?} breaks \"{}\" in schedule {case}",
                    broken.law
                ));
            }
            None => unseen.push(flaw),
        }
    }
    assert!(unseen.is_empty(), "nothing shows {unseen:?}");
}
