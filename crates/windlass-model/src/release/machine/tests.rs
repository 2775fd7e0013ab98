//! The machines under random schedules, and the ways that the design names.

use proptest::prelude::*;
use serde_json::Map;

use super::*;
use crate::release::ids::{Environment, Project, TargetName, TransactionId};
use crate::release::transaction::Status;
use crate::release::whole::Transaction;

const LEASE: Micros = 30_000_000;

fn name<T: std::str::FromStr<Err = String>>(text: &str) -> T {
    text.parse().unwrap()
}

fn transaction(phase: Phase, installs: bool) -> Transaction {
    Transaction {
        id: name::<TransactionId>("t1"),
        sequence: 1,
        project: name::<Project>("p"),
        action: "install".into(),
        environment: Some(name::<Environment>("test")),
        request: Map::new(),
        actor: Actor::manager(),
        phase,
        end: None,
        installs,
        release: (phase == Phase::Waiting).then(|| name("p@1")),
        wave: 0,
        max_failures: 0,
        cancelled: false,
        why: None,
        created_at: 0,
        ended_at: None,
    }
}

fn building() -> Whole {
    let build = Job {
        id: name("b"),
        kind: AgentKind::Builder,
        target: None,
        agent: None,
        wave: 0,
        state: JobState::Queued,
        attempt: 0,
        epoch: 0,
        lease_until: None,
        deadline: None,
        result: None,
    };
    Whole {
        transaction: transaction(Phase::Building, true),
        jobs: vec![build],
    }
}

fn planned(jobs: &[(&str, u32)]) -> Whole {
    let mut whole = Whole {
        transaction: transaction(Phase::Waiting, true),
        jobs: Vec::new(),
    };
    let jobs = jobs.iter().map(|(agent, wave)| Planned {
        id: name(agent),
        target: name::<TargetName>("web"),
        agent: name(agent),
        wave: *wave,
    });
    plan(&mut whole, jobs.collect(), 0, 1_000_000_000).unwrap();
    whole
}

fn index() -> Index {
    Index {
        format: 1,
        project: name("p"),
        version: name("1"),
        revision: None,
        targets: std::collections::BTreeMap::new(),
    }
}

fn begin(whole: &mut Whole, id: &str, who: &str, now: Micros) -> Result<Epoch, Refusal> {
    let id = name(id);
    let kind = whole.job(&id).map_or(AgentKind::Builder, |j| j.kind);
    lease(whole, &id, (kind, &name(who), "a"), now, LEASE)?;
    let epoch = whole.job(&id).map_or(0, |j| j.epoch);
    start(whole, &id, (&name(who), "a"), epoch, now, LEASE)?;
    Ok(epoch)
}

#[test]
fn the_seeds_way() {
    let mut whole = building();
    assert_eq!(whole.transaction.status(), Status::Started);
    let epoch = begin(&mut whole, "b", "builder1", 0).unwrap();
    let who: AgentName = name("builder1");
    built(&mut whole, &name("b"), (&who, "a"), epoch, index(), 1).unwrap();
    assert_eq!(whole.transaction.status(), Status::BuildCompleted);
    let job = Planned {
        id: name("i"),
        target: name("web"),
        agent: name("i"),
        wave: 1,
    };
    let effects = plan(&mut whole, vec![job], 0, 100).unwrap();
    assert!(matches!(effects.first(), Some(Effect::Lock { .. })));
    let epoch = begin(&mut whole, "i", "i", 2).unwrap();
    let effects = installed(
        &mut whole,
        &name("i"),
        (&name("i"), "a"),
        epoch,
        Vec::new(),
        3,
    )
    .unwrap();
    assert!(
        effects
            .iter()
            .any(|e| matches!(e, Effect::Installed { host, .. } if host == "local"))
    );
    assert_eq!(effects.last(), Some(&Effect::Unlock));
    assert_eq!(whole.transaction.status(), Status::InstallCompleted);
}

#[test]
fn an_old_right_is_void() {
    let mut whole = building();
    let old = begin(&mut whole, "b", "one", 0).unwrap();
    tick(&mut whole, LEASE + 1);
    assert_eq!(whole.jobs[0].state, JobState::Queued);
    begin(&mut whole, "b", "two", LEASE + 2).unwrap();
    let one: AgentName = name("one");
    let late = built(&mut whole, &name("b"), (&one, "a"), old, index(), LEASE + 3);
    assert_eq!(late, Err(Refusal::Superseded));
    assert_eq!(
        renew(&mut whole, &name("b"), &one, old, LEASE + 3, LEASE),
        Err(Refusal::Superseded)
    );
}

#[test]
fn who_lives_when_the_clock_is_set_keeps_what_it_has() {
    const LONGEST: Micros = 100 * LEASE;
    const MONTH: Micros = 1_000_000 * LEASE;
    for by in [-MONTH, -LEASE, 0, 2 * LEASE, MONTH] {
        let mut whole = planned(&[("i1", 1), ("i2", 1)]);
        let begun = 2 * MONTH;
        let epoch = begin(&mut whole, "i1", "i1", begun).unwrap();
        let waits = whole.jobs.iter().position(|job| job.id == name("i2"));
        let waits = waits.unwrap();
        whole.jobs[waits].deadline = Some(begun + 10 * LEASE);
        let now = begun + by;
        clock_set(&mut whole, by, LEASE, LONGEST, now);
        assert_eq!(tick(&mut whole, now + LEASE), []);
        let one: AgentName = name("i1");
        assert_eq!(
            renew(&mut whole, &name("i1"), &one, epoch, now + LEASE, LEASE),
            Ok(true)
        );
        // Who is gone is missed after a lease, and what nobody begins after its deadline.
        tick(&mut whole, now + 2 * LEASE + 1);
        assert_eq!(whole.job(&name("i1")).unwrap().state, JobState::Unknown);
        assert_eq!(whole.jobs[waits].state, JobState::Queued, "{by}");
        tick(&mut whole, now + 11 * LEASE + 1);
        assert_eq!(whole.jobs[waits].state, JobState::Failed, "{by}");
    }
}

#[test]
fn a_build_is_tried_three_times() {
    let mut whole = building();
    let mut now = 0;
    for _ in 0..BUILD_ATTEMPTS {
        begin(&mut whole, "b", "one", now).unwrap();
        now += LEASE + 1;
        tick(&mut whole, now);
    }
    assert_eq!(whole.transaction.status(), Status::BuildFailed);
}

#[test]
fn what_an_agent_had_that_began_anew_is_lost_at_once() {
    let who: AgentName = name("i1");
    let kind = AgentKind::Installer;
    let mut whole = planned(&[("i1", 1), ("i2", 1)]);
    let other = begin(&mut whole, "i2", "i2", 0).unwrap();
    // Given, and not begun: nobody else waits for the end of the lease.
    lease(&mut whole, &name("i1"), (kind, &who, "a"), 0, LEASE).unwrap();
    lost(&mut whole, &name("i1"), &who, 1, 1).unwrap();
    assert_eq!(whole.jobs[0].state, JobState::Queued);
    // Begun: unknown, and nothing that is given anew is meant by a report of long ago.
    let epoch = begin(&mut whole, "i1", "i1", 2).unwrap();
    let late = lost(&mut whole, &name("i1"), &who, 1, 3);
    assert_eq!(late, Err(Refusal::Superseded));
    assert_eq!(whole.jobs[0].state, JobState::Started);
    lost(&mut whole, &name("i1"), &who, epoch, 4).unwrap();
    assert_eq!(whole.jobs[0].state, JobState::Unknown);
    let again = lost(&mut whole, &name("i1"), &who, epoch, 5);
    assert_eq!(again, Ok(Vec::new()));
    // Whatever the time is, others keep what they have.
    lost(&mut whole, &name("i1"), &who, epoch, LEASE * 9).unwrap();
    assert_eq!(whole.jobs[1].state, JobState::Started);
    installed(
        &mut whole,
        &name("i2"),
        (&name("i2"), "a"),
        other,
        Vec::new(),
        6,
    )
    .unwrap();
    assert_eq!(whole.transaction.status(), Status::Unknown);

    let mut whole = building();
    let one: AgentName = name("one");
    let epoch = begin(&mut whole, "b", "one", 0).unwrap();
    lost(&mut whole, &name("b"), &one, epoch, 1).unwrap();
    assert_eq!(whole.jobs[0].state, JobState::Queued);
    begin(&mut whole, "b", "two", 2).unwrap();
}

#[test]
fn a_lost_installer_leaves_the_unknown_until_it_is_settled() {
    let mut whole = planned(&[("i1", 1), ("i2", 2)]);
    begin(&mut whole, "i1", "i1", 0).unwrap();
    tick(&mut whole, LEASE + 1);
    assert_eq!(whole.transaction.status(), Status::Unknown);
    let mut settled = whole.clone();
    settle(
        &mut settled,
        &name("i1"),
        Settled::Done,
        &Actor::manager(),
        LEASE + 2,
    )
    .unwrap();
    assert_eq!(
        settled.transaction.status(),
        Status::InstallFailed,
        "the second wave was not begun"
    );
    let verdict = Verdict::NotBegun;
    let effects = probed(
        &mut whole,
        &name("i1"),
        (&name("i1"), "a"),
        1,
        verdict,
        LEASE + 2,
        LEASE,
    )
    .unwrap();
    assert!(effects.iter().any(|e| matches!(e, Effect::Lock { .. })));
    assert_eq!(whole.jobs[0].state, JobState::Queued);
    // The same answer once more, when it was begun again and is unknown again.
    begin(&mut whole, "i1", "i1", LEASE + 3).unwrap();
    tick(&mut whole, 3 * LEASE);
    let (id, who): (JobId, AgentName) = (name("i1"), name("i1"));
    let late = probed(
        &mut whole,
        &id,
        (&who, "a"),
        1,
        Verdict::NotBegun,
        3 * LEASE,
        LEASE,
    );
    assert_eq!(late, Err(Refusal::Superseded));
}

#[test]
fn waves_follow_each_other_and_stop_at_a_failure() {
    let mut whole = planned(&[("i1", 1), ("i2", 2), ("i3", 3)]);
    let kind = AgentKind::Installer;
    let early = lease(&mut whole, &name("i2"), (kind, &name("i2"), "a"), 0, LEASE);
    assert_eq!(early, Err(Refusal::Superseded), "its wave has not come");
    let epoch = begin(&mut whole, "i1", "i1", 0).unwrap();
    installed(
        &mut whole,
        &name("i1"),
        (&name("i1"), "a"),
        epoch,
        Vec::new(),
        1,
    )
    .unwrap();
    let epoch = begin(&mut whole, "i2", "i2", 2).unwrap();
    failed(
        &mut whole,
        &name("i2"),
        (&name("i2"), "a"),
        epoch,
        ("disk full", Vec::new()),
        3,
    )
    .unwrap();
    assert_eq!(whole.transaction.status(), Status::InstallFailed);
    assert_eq!(
        whole.transaction.why.as_deref(),
        Some("web by i2: disk full")
    );
    assert_eq!(whole.jobs[2].state, JobState::Cancelled);
}

#[test]
fn what_a_failed_install_left_is_known_by_its_journal_too() {
    let mut whole = planned(&[("i1", 1)]);
    begin(&mut whole, "i1", "i1", 0).unwrap();
    tick(&mut whole, LEASE + 1);
    let (id, who): (JobId, AgentName) = (name("i1"), name("i1"));
    let verdict = Verdict::Failed {
        why: "it does not start".into(),
        rows: vec![InstalledRow {
            host: "local".into(),
            release: Some(name("p@1")),
        }],
    };
    let effects = probed(&mut whole, &id, (&who, "a"), 1, verdict, LEASE + 2, LEASE).unwrap();
    assert!(
        effects
            .iter()
            .any(|e| matches!(e, Effect::Installed { .. })),
        "{effects:?}"
    );
    assert_eq!(whole.transaction.status(), Status::InstallFailed);
}

#[test]
fn only_an_install_that_was_lost_goes_on() {
    let goes_on = |whole: &mut Whole, epoch| {
        let id: JobId = name("i1");
        let verdict = Verdict::Running { epoch };
        probed(
            whole,
            &id,
            (&name("i1"), "a"),
            epoch,
            verdict,
            LEASE + 2,
            LEASE,
        )
        .is_ok()
    };
    let mut whole = planned(&[("i1", 1)]);
    let epoch = begin(&mut whole, "i1", "i1", 0).unwrap();
    let mut lost = whole.clone();
    tick(&mut lost, LEASE + 1);
    assert!(goes_on(&mut lost, epoch));
    assert_eq!(lost.jobs[0].state, JobState::Started);
    // It was lost, and then its end is heard.
    let mut late = whole.clone();
    tick(&mut late, LEASE + 1);
    let (id, who): (JobId, AgentName) = (name("i1"), name("i1"));
    let ended = unknown(
        &mut late,
        &id,
        (&who, "a"),
        epoch,
        "the link was lost",
        LEASE + 2,
    );
    assert!(!ended.unwrap().is_empty());
    let why = late.transaction.why.clone().unwrap();
    assert_eq!(why, "web by i1: the link was lost");
    assert!(!goes_on(&mut late, epoch));
    // It has ended; a poll that was sent before, and says that it is in hand, comes late.
    let (id, who): (JobId, AgentName) = (name("i1"), name("i1"));
    unknown(&mut whole, &id, (&who, "a"), epoch, "the link was lost", 1).unwrap();
    assert!(!goes_on(&mut whole, epoch));
    assert_eq!(whole.transaction.status(), Status::Unknown);
}

#[test]
fn time_to_begin_begins_when_it_can_be_begun() {
    const WITHIN: Micros = 100;
    let mut whole = planned(&[("i1", 1), ("i2", 2)]);
    assert_eq!(whole.jobs[0].deadline, Some(1_000_000_000));
    let epoch = begin(&mut whole, "i1", "i1", 0).unwrap();
    // The first wave takes longer than anybody may be away.
    let now = 2_000_000_000;
    let who: AgentName = name("i1");
    installed(
        &mut whole,
        &who.as_str().parse().unwrap(),
        (&who, "a"),
        epoch,
        Vec::new(),
        now,
    )
    .unwrap();
    allot(&mut whole, now, (WITHIN, WITHIN));
    assert!(tick(&mut whole, now + WITHIN).is_empty(), "it has its time");
    assert!(!tick(&mut whole, now + WITHIN + 1).is_empty());
    assert_eq!(whole.transaction.status(), Status::InstallFailed);

    // A build that was begun, and whose builder was lost long after its deadline, may be begun again.
    let mut whole = building();
    whole.jobs[0].deadline = Some(10);
    begin(&mut whole, "b", "one", 0).unwrap();
    let lost = LEASE + 1;
    tick(&mut whole, lost);
    allot(&mut whole, lost, (WITHIN, WITHIN));
    assert!(tick(&mut whole, lost + 1).is_empty());
    assert_eq!(whole.jobs[0].state, JobState::Queued);

    // One that nobody began has no more time.
    let (id, b) = (name("b"), name("b"));
    lease(&mut whole, &id, (AgentKind::Builder, &b, ""), lost, LEASE).unwrap();
    tick(&mut whole, lost + LEASE + 1);
    assert_eq!(whole.transaction.status(), Status::BuildFailed);
}

#[test]
fn what_is_taken_back_settles_first() {
    let mut whole = planned(&[("i1", 1), ("i2", 1)]);
    let epoch = begin(&mut whole, "i1", "i1", 0).unwrap();
    cancel(&mut whole, &Actor::manager(), 1).unwrap();
    assert_eq!(whole.transaction.status(), Status::BuildCompleted);
    assert_eq!(
        renew(&mut whole, &name("i1"), &name("i1"), epoch, 2, LEASE),
        Ok(false)
    );
    installed(
        &mut whole,
        &name("i1"),
        (&name("i1"), "a"),
        epoch,
        Vec::new(),
        3,
    )
    .unwrap();
    assert_eq!(whole.transaction.status(), Status::Cancelled);
    assert!(matches!(
        cancel(&mut whole, &Actor::manager(), 4),
        Err(Refusal::Illegal(_))
    ));
}

#[derive(Clone, Debug)]
enum Act {
    Lease(usize),
    Start(usize, u64),
    Renew(usize, u64),
    Good(usize, u64),
    Bad(usize, u64),
    Unsure(usize, u64),
    Tick(i64),
    Cancel,
    Probe(usize, u8),
    Settle(usize, u8),
    Plan,
}

fn act() -> impl Strategy<Value = Act> {
    let job = 0usize..4;
    let epoch = 0u64..4;
    prop_oneof![
        4 => job.clone().prop_map(Act::Lease),
        4 => (job.clone(), epoch.clone()).prop_map(|(j, e)| Act::Start(j, e)),
        1 => (job.clone(), epoch.clone()).prop_map(|(j, e)| Act::Renew(j, e)),
        3 => (job.clone(), epoch.clone()).prop_map(|(j, e)| Act::Good(j, e)),
        1 => (job.clone(), epoch.clone()).prop_map(|(j, e)| Act::Bad(j, e)),
        1 => (job.clone(), epoch).prop_map(|(j, e)| Act::Unsure(j, e)),
        2 => (0i64..60_000_000).prop_map(Act::Tick),
        1 => Just(Act::Cancel),
        1 => (job.clone(), 0u8..5).prop_map(|(j, k)| Act::Probe(j, k)),
        1 => (job, 0u8..3).prop_map(|(j, k)| Act::Settle(j, k)),
        2 => Just(Act::Plan),
    ]
}

fn apply(whole: &mut Whole, act: &Act, now: &mut Micros) -> Changed {
    let job = |n: &usize| -> (JobId, AgentName) {
        let names = ["b", "i1", "i2", "i3"];
        (name(names[*n]), name(names[*n]))
    };
    match act {
        Act::Lease(n) => {
            let (id, who) = job(n);
            let kind = whole.job(&id).map_or(AgentKind::Builder, |j| j.kind);
            lease(whole, &id, (kind, &who, "a"), *now, LEASE)
        }
        Act::Start(n, e) => {
            let (id, who) = job(n);
            start(whole, &id, (&who, "a"), *e, *now, LEASE)
        }
        Act::Renew(n, e) => {
            let (id, who) = job(n);
            renew(whole, &id, &who, *e, *now, LEASE).map(|_| Vec::new())
        }
        Act::Good(0, e) => {
            let (id, who) = job(&0);
            built(whole, &id, (&who, "a"), *e, index(), *now)
        }
        Act::Good(n, e) => {
            let (id, who) = job(n);
            installed(whole, &id, (&who, "a"), *e, Vec::new(), *now)
        }
        Act::Bad(n, e) => {
            let (id, who) = job(n);
            failed(whole, &id, (&who, "a"), *e, ("no", Vec::new()), *now)
        }
        Act::Unsure(n, e) => {
            let (id, who) = job(n);
            unknown(whole, &id, (&who, "a"), *e, "?", *now)
        }
        Act::Tick(by) => {
            *now += by;
            Ok(tick(whole, *now))
        }
        Act::Cancel => cancel(whole, &Actor::manager(), *now),
        Act::Probe(n, k) => {
            let (id, who) = job(n);
            let epoch = whole.job(&id).map_or(0, |j| j.epoch);
            let verdict = match k {
                0 => Verdict::NotBegun,
                1 => Verdict::Done { rows: Vec::new() },
                2 => Verdict::Failed {
                    why: "no".into(),
                    rows: Vec::new(),
                },
                3 => Verdict::Running { epoch },
                _ => Verdict::Unknown { why: "?".into() },
            };
            probed(whole, &id, (&who, "a"), epoch, verdict, *now, LEASE)
        }
        Act::Settle(n, k) => {
            let (id, _) = job(n);
            let settled = [Settled::Done, Settled::Failed, Settled::Again][*k as usize];
            settle(whole, &id, settled, &Actor::manager(), *now)
        }
        Act::Plan => {
            let jobs =
                [("i1", 1, "web"), ("i2", 1, "db"), ("i3", 2, "web")].map(|(id, wave, target)| {
                    Planned {
                        id: name(id),
                        target: name(target),
                        agent: name(id),
                        wave,
                    }
                });
            plan(whole, jobs.to_vec(), 0, *now + 4 * LEASE)
        }
    }
}

proptest! {
    /// Whatever comes in whatever order: what is refused changes nothing, an epoch is begun once, nothing is left to do
    /// in what is over, and locks are held exactly while installs go on.
    #[test]
    fn nothing_is_begun_twice_and_nothing_is_left_over(acts in prop::collection::vec(act(), 1..80)) {
        let mut whole = building();
        let mut now = 0;
        let mut begun = std::collections::HashSet::new();
        let mut locked = std::collections::HashSet::new();
        for act in &acts {
            let before = whole.clone();
            match apply(&mut whole, act, &mut now) {
                Err(_) => prop_assert_eq!(&whole, &before, "{:?}", act),
                Ok(effects) => for effect in effects {
                    match effect {
                        Effect::Lock { target, .. } => {
                            locked.insert(Some(target));
                        }
                        Effect::Unlock => locked.clear(),
                        _ => {}
                    }
                },
            }
            for (job, was) in whole.jobs.iter().zip(&before.jobs) {
                prop_assert!(job.epoch >= was.epoch);
                if job.attempt > was.attempt {
                    prop_assert!(begun.insert((job.id.clone(), job.epoch)), "{:?} began twice", job);
                }
                if was.state == JobState::Done {
                    prop_assert_eq!(job.state, JobState::Done);
                }
                let has = job.lease_until.is_some();
                prop_assert!(has == job.state.is_held() || job.state == JobState::Unknown);
            }
            let transaction = &whole.transaction;
            if transaction.phase.is_over() {
                let open = whole.jobs.iter().find(|j| !j.state.is_settled() && j.state != JobState::Unknown);
                prop_assert!(open.is_none(), "{:?}: {:?}", act, open);
                prop_assert!(locked.is_empty());
                let unknown = whole.jobs.iter().any(|j| j.state == JobState::Unknown);
                prop_assert_eq!(unknown, transaction.end == Some(End::Unknown));
            }
            for job in whole.jobs.iter().filter(|j| j.kind == AgentKind::Installer && j.state.is_held()) {
                prop_assert!(locked.contains(&job.target), "{:?}: {} runs without its lock", act, job.id);
            }
        }
    }
}

#[test]
fn an_action_of_a_projects_own_ends_without_a_release() {
    let started = || {
        let mut whole = building();
        whole.transaction.installs = false;
        whole.transaction.action = "migrate".into();
        let (id, b) = (name("b"), name("b1"));
        lease(&mut whole, &id, (AgentKind::Builder, &b, ""), 0, LEASE).unwrap();
        start(&mut whole, &id, (&b, ""), 1, 0, LEASE).unwrap();
        whole
    };
    let (id, b): (JobId, AgentName) = (name("b"), name("b1"));
    let mut whole = started();
    let effects = ran(&mut whole, &id, (&b, ""), 1, 7).unwrap();
    assert!(effects.contains(&Effect::Unlock), "{effects:?}");
    assert_eq!(whole.transaction.status(), Status::BuildCompleted);
    assert_eq!(whole.transaction.release, None);
    assert_eq!(ran(&mut whole, &id, (&b, ""), 1, 8), Ok(Vec::new()));
    assert_eq!(
        ran(&mut started(), &id, (&b, ""), 0, 7),
        Err(Refusal::Superseded)
    );
    let mut cancelled = started();
    cancel(&mut cancelled, &Actor::manager(), 5).unwrap();
    ran(&mut cancelled, &id, (&b, ""), 1, 7).unwrap();
    assert_eq!(cancelled.transaction.status(), Status::Cancelled);
    // What was to be built gives a release, or fails.
    let mut build = started();
    build.transaction.action = "build".into();
    assert!(matches!(
        ran(&mut build, &id, (&b, ""), 1, 7),
        Err(Refusal::Illegal(_))
    ));
}
