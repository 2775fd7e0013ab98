//! Random histories: the store holds what the pure machine makes of the same in memory.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use windlass_model::release::machine::{self, Planned, Refusal, Settled, Verdict};
use windlass_model::release::{AgentKind, AgentName, Effect, Index, JobId, Micros, Whole};

use super::{LEASE, begin, install_of, joe, name};
use crate::Place;

#[derive(Clone, Debug)]
enum Act {
    Lease(usize),
    Start(usize),
    Renew(usize),
    Finish(usize),
    Fail(usize),
    Lose(usize),
    Plan,
    Tick(Micros),
    Cancel,
    Probe(usize, u8),
    Settle(usize, u8),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let job = 0..3_usize;
    let act = prop_oneof![
        4 => job.clone().prop_map(Act::Lease),
        4 => job.clone().prop_map(Act::Start),
        1 => job.clone().prop_map(Act::Renew),
        4 => job.clone().prop_map(Act::Finish),
        1 => job.clone().prop_map(Act::Fail),
        1 => job.clone().prop_map(Act::Lose),
        3 => Just(Act::Plan),
        1 => prop_oneof![Just(0), Just(2 * LEASE), Just(90 * LEASE)].prop_map(Act::Tick),
        1 => Just(Act::Cancel),
        1 => (job.clone(), 0..5_u8).prop_map(|(job, verdict)| Act::Probe(job, verdict)),
        1 => (job, 0..3_u8).prop_map(|(job, settled)| Act::Settle(job, settled)),
    ];
    prop::collection::vec(act, 1..40)
}

fn who(whole: &Whole, n: usize) -> (JobId, AgentKind, AgentName, u64) {
    match whole.jobs.get(n) {
        Some(job) => {
            let agent = job.agent.clone().unwrap_or_else(|| name("b"));
            (job.id.clone(), job.kind, agent, job.epoch)
        }
        None => (name("none"), AgentKind::Builder, name("b"), 0),
    }
}

/// The same for the store and for memory.
fn act(act: &Act, ids: &[JobId], whole: &mut Whole, now: Micros) -> Result<Vec<Effect>, Refusal> {
    match act {
        Act::Lease(n) => {
            let (id, kind, agent, _) = who(whole, *n);
            machine::lease(whole, &id, (kind, &agent, "a"), now, LEASE)
        }
        Act::Start(n) => {
            let (id, _, agent, epoch) = who(whole, *n);
            machine::start(whole, &id, (&agent, "a"), epoch, now, LEASE)
        }
        Act::Renew(n) => {
            let (id, _, agent, epoch) = who(whole, *n);
            machine::renew(whole, &id, &agent, epoch, now, LEASE).map(|_| Vec::new())
        }
        Act::Finish(n) => match who(whole, *n) {
            (id, AgentKind::Builder, agent, epoch) => {
                let index = Index {
                    targets: std::collections::BTreeMap::new(),
                    ..super::index("p", &whole.transaction.sequence.to_string(), "a")
                };
                machine::built(whole, &id, (&agent, "a"), epoch, index, now)
            }
            (id, AgentKind::Installer, agent, epoch) => {
                machine::installed(whole, &id, (&agent, "a"), epoch, Vec::new(), now)
            }
        },
        Act::Fail(n) => {
            let (id, _, agent, epoch) = who(whole, *n);
            machine::failed(whole, &id, (&agent, "a"), epoch, ("☃", Vec::new()), now)
        }
        Act::Lose(n) => {
            let (id, _, agent, epoch) = who(whole, *n);
            machine::unknown(whole, &id, (&agent, "a"), epoch, "lost", now)
        }
        Act::Plan => {
            let planned = ids.iter().zip(["i1", "i2"]).zip(1..);
            let planned = planned.map(|((id, agent), wave)| Planned {
                id: id.clone(),
                target: name("web"),
                agent: name(agent),
                wave,
            });
            machine::plan(whole, planned.collect(), 1, now + 50 * LEASE)
        }
        Act::Tick(later) => Ok(machine::tick(whole, now + later)),
        Act::Cancel => machine::cancel(whole, &joe(), now),
        Act::Probe(n, verdict) => {
            let (id, _, agent, epoch) = who(whole, *n);
            let why = "as it says".to_owned();
            let verdict = match verdict {
                0 => Verdict::NotBegun,
                1 => Verdict::Done { rows: Vec::new() },
                2 => Verdict::Failed {
                    why,
                    rows: Vec::new(),
                },
                3 => Verdict::Running { epoch },
                _ => Verdict::Unknown { why },
            };
            machine::probed(whole, &id, (&agent, "a"), epoch, verdict, now, LEASE)
        }
        Act::Settle(n, settled) => {
            let (id, _, _, _) = who(whole, *n);
            let settled = match settled {
                0 => Settled::Done,
                1 => Settled::Failed,
                _ => Settled::Again,
            };
            machine::settle(whole, &id, settled, &joe(), now)
        }
    }
}

pub(crate) async fn the_store_holds_what_the_machine_makes(place: Place) {
    let store = place.open().await;
    let mut runner = TestRunner::new(Config::default());
    for _ in 0..40 {
        let schedule = acts().new_tree(&mut runner).unwrap().current();
        let t = begin(&store, install_of("p")).await;
        let mut memory = store.whole(&t.id).await.unwrap().unwrap();
        let ids: Vec<JobId> = (0..2)
            .map(|_| windlass_store::fresh_id(0).unwrap())
            .collect();
        let mut entries = 1;
        for step in &schedule {
            let (given, made) = (step.clone(), ids.clone());
            let at = std::sync::Arc::new(std::sync::Mutex::new(0));
            let noted = at.clone();
            let stored = store.change(&t.id, move |whole, now| {
                *noted.lock().unwrap() = now;
                act(&given, &made, whole, now).map(|effects| ((), effects))
            });
            let stored = stored.await;
            let now = *at.lock().unwrap();
            let mut next = memory.clone();
            match (act(step, &ids, &mut next, now), stored) {
                (Ok(effects), Ok(())) => {
                    memory = next;
                    let is_entry = |effect: &&Effect| matches!(effect, Effect::History { .. });
                    entries += effects.iter().filter(is_entry).count();
                }
                (Err(refusal), Err(windlass_store::ChangeError::Refused(stored))) => {
                    assert_eq!(refusal, stored);
                }
                (memory, stored) => panic!("{step:?} of {schedule:?}: {memory:?} {stored:?}"),
            }
            let stored = store.whole(&t.id).await.unwrap().unwrap();
            assert_eq!(stored, memory, "{step:?} of {schedule:?}");
        }
        assert_eq!(store.history(&t.id).await.unwrap().len(), entries);
        // a lock that is left belongs to a transaction that goes on; end it, so that the next one has its target
        let cancelled = store.change(&t.id, |_, _| Ok(((), vec![Effect::Unlock])));
        cancelled.await.unwrap();
    }
}
