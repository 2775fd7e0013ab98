//! The proof against the law written out: every order in which jobs can end, well or badly.

use std::collections::{BTreeSet, HashSet};

use proptest::prelude::*;

use super::*;

/// A stage with all of its jobs, those of other services among them.
#[derive(Clone, Debug)]
struct Naive {
    limits: Limits,
    finally: bool,
    /// Hosts that it counts against, and those that it takes out.
    jobs: Vec<(BTreeSet<usize>, BTreeSet<usize>)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    stage: usize,
    queued: Vec<usize>,
    running: BTreeSet<usize>,
    failures: usize,
    stopped: bool,
    out: BTreeSet<usize>,
    left_out: BTreeSet<usize>,
}

/// The most hosts that are out at once in any run.
fn searched(stages: &[Naive]) -> usize {
    let first = State {
        stage: usize::MAX,
        queued: Vec::new(),
        running: BTreeSet::new(),
        failures: 0,
        stopped: false,
        out: BTreeSet::new(),
        left_out: BTreeSet::new(),
    };
    let (mut seen, mut left, mut most) = (HashSet::new(), vec![first], 0);
    while let Some(mut state) = left.pop() {
        if let Some(stage) = stages.get(state.stage) {
            start(stage, &mut state);
        }
        if !seen.insert(state.clone()) {
            continue;
        }
        let Some(stage) = stages
            .get(state.stage)
            .filter(|_| !state.running.is_empty())
        else {
            left.extend(next_stage(stages, state));
            continue;
        };
        let mut out = state.out.clone();
        out.extend(state.running.iter().flat_map(|j| &stage.jobs[*j].1));
        most = most.max(out.len());
        for job in &state.running {
            let mut well = state.clone();
            well.running.remove(job);
            let mut badly = well.clone();
            badly.failures += 1;
            badly.out.extend(&stage.jobs[*job].1);
            badly.left_out.extend(&stage.jobs[*job].0);
            left.extend([well, badly]);
        }
    }
    most
}

fn start(stage: &Naive, state: &mut State) {
    loop {
        if state.failures > stage.limits.max_failures
            || state.running.len() >= stage.limits.concurrency
        {
            return;
        }
        let busy = |host: &usize| {
            let on = |j: &&usize| stage.jobs[**j].0.contains(host);
            state.running.iter().filter(on).count()
        };
        let room = stage.limits.per_host.unwrap_or(usize::MAX);
        let fits = |j: &usize| stage.jobs[*j].0.iter().all(|h| busy(h) < room);
        let Some(at) = state.queued.iter().position(fits) else {
            return;
        };
        let job = state.queued.remove(at);
        state.running.insert(job);
    }
}

fn next_stage(stages: &[Naive], mut state: State) -> Option<State> {
    if let Some(stage) = stages.get(state.stage) {
        state.stopped |= state.failures > stage.limits.max_failures;
    }
    state.stage = state.stage.wrapping_add(1);
    let stage = stages.get(state.stage)?;
    state.failures = 0;
    let free = |j: &usize| stage.finally || stage.jobs[*j].0.is_disjoint(&state.left_out);
    state.queued = match state.stopped && !stage.finally {
        true => Vec::new(),
        false => (0..stage.jobs.len()).filter(free).collect(),
    };
    Some(state)
}

fn proved(stages: &[Naive]) -> usize {
    let shapes: Vec<StageShape> = stages
        .iter()
        .map(|stage| StageShape {
            limits: stage.limits,
            finally: stage.finally,
            jobs: stage
                .jobs
                .iter()
                .filter(|(_, takes_out)| !takes_out.is_empty())
                .map(|(hosts, takes_out)| JobShape {
                    hosts: hosts
                        .iter()
                        .map(|h| HostName::new(&format!("h{h}")))
                        .collect(),
                    takes_out: takes_out.iter().copied().collect(),
                })
                .collect(),
        })
        .collect();
    exposures(&shapes)
        .into_iter()
        .map(|e| e.most)
        .max()
        .unwrap_or(0)
}

type Jobs = Vec<(BTreeSet<usize>, BTreeSet<usize>)>;

fn stages(jobs: impl Strategy<Value = Jobs>) -> impl Strategy<Value = Vec<Naive>> {
    let limits = (1usize..4, prop::option::of(1usize..3), 0usize..3);
    let finally = prop_oneof![4 => Just(false), 1 => Just(true)];
    let stage =
        (limits, finally, jobs).prop_map(|((concurrency, per_host, failures), finally, jobs)| {
            Naive {
                limits: Limits {
                    concurrency,
                    per_host,
                    max_failures: failures,
                },
                finally,
                jobs,
            }
        });
    prop::collection::vec(stage, 1..4)
}

/// Jobs on one host each, of the service or of another; in some stages they share a host besides.
fn plain() -> impl Strategy<Value = Jobs> {
    let job = (0usize..4, prop_oneof![3 => Just(true), 1 => Just(false)]);
    (
        prop::collection::vec(job, 0..5),
        prop_oneof![4 => Just(false), 1 => Just(true)],
    )
        .prop_map(|(jobs, share)| {
            let of = |(host, own): (usize, bool)| {
                let shared = share.then_some(9);
                (
                    [host].into_iter().chain(shared).collect(),
                    own.then_some(host).into_iter().collect(),
                )
            };
            jobs.into_iter().map(of).collect()
        })
}

/// Jobs on several hosts.
fn wild() -> impl Strategy<Value = Jobs> {
    let job = prop::collection::btree_map(0usize..4, any::<bool>(), 1..4).prop_map(|hosts| {
        let taken = hosts.iter().filter(|(_, taken)| **taken).map(|(h, _)| *h);
        (hosts.keys().copied().collect(), taken.collect())
    });
    prop::collection::vec(job, 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_bound_is_reached(stages in stages(plain())) {
        let shares = stages.iter().any(|s| s.jobs.iter().any(|(hosts, _)| hosts.contains(&9)));
        let (proved, searched) = (proved(&stages), searched(&stages));
        prop_assert!(searched <= proved, "{searched} > {proved}");
        // A host that all jobs share is left out as a whole once one has failed there.
        if !shares || stages.len() == 1 {
            prop_assert_eq!(searched, proved);
        }
    }

    #[test]
    fn nothing_goes_beyond_the_bound(stages in stages(wild())) {
        let (proved, searched) = (proved(&stages), searched(&stages));
        prop_assert!(searched <= proved, "{searched} > {proved}");
    }
}

fn deploy(concurrency: usize, max_failures: usize, hosts: std::ops::Range<usize>) -> Naive {
    Naive {
        limits: Limits {
            concurrency,
            per_host: Some(1),
            max_failures,
        },
        finally: false,
        jobs: hosts.map(|h| ([h].into(), [h].into())).collect(),
    }
}

#[test]
fn failures_stay_out_and_add_up() {
    assert_eq!(proved(&[deploy(1, 0, 0..5)]), 1);
    assert_eq!(proved(&[deploy(2, 0, 0..5)]), 2);
    assert_eq!(proved(&[deploy(2, 1, 0..5)]), 3);
    assert_eq!(proved(&[deploy(9, 1, 0..5)]), 5);
    let both = [deploy(1, 1, 0..3), deploy(1, 1, 3..9)];
    assert_eq!(proved(&both), 3, "one of the first stage is out still");
    let same = [deploy(1, 2, 0..3), deploy(1, 2, 0..3)];
    assert_eq!(proved(&same), 3, "a host counts once");
}

#[test]
fn ten_thousand_hosts_are_proved_at_once() {
    let began = std::time::Instant::now();
    let stages = [deploy(500, 100, 0..10_000), deploy(1000, 50, 5_000..10_000)];
    assert_eq!(proved(&stages), 1150);
    assert!(began.elapsed().as_secs() < 5);
}
