//! A schedule is run: to its end, and then until everything has come to rest.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use windlass_agent::fence::Fence;
use windlass_agent::groups::Groups;
use windlass_agent::guard::Guard;
use windlass_model::release::machine::Verdict;
use windlass_model::release::rollback::{BEGUN, LEFT, OWED, takes_back};
use windlass_model::release::{AgentKind, JobId, JobState, Phase, Project};

use crate::data::Data;
use crate::laws::{Broken, Spot};
use crate::plan::{Act, HORIZON, Plan, Say};
use crate::world::{DEADLINE, LEASE, There, World};
use crate::{agents, people};

/// How long it takes at most until everything has come to rest, in seconds, once nothing goes wrong any more: a job after the
/// other, each until its deadline.
const REST: u64 = 40 * DEADLINE;

/// What came of a schedule.
pub(crate) struct Ran {
    pub(crate) broken: Option<Broken>,
    pub(crate) counts: BTreeMap<&'static str, u64>,
    pub(crate) story: Vec<String>,
}

/// Runs a schedule. `folder`: a directory of its own for what agents keep.
pub(crate) fn run(plan: &Plan, folder: &Path) -> Ran {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let ran = runtime.block_on(live(plan, folder));
    drop(runtime);
    ran
}

async fn live(plan: &Plan, folder: &Path) -> Ran {
    let world = World::new(plan.clone(), folder).await;
    let began = Instant::now();
    world.start_manager();
    for agent in 0..plan.agents.len() {
        agents::start(&world, agent, false).await;
    }
    for (at, act) in &plan.acts {
        sleep_until(began + Duration::from_millis(*at)).await;
        if is_broken(&world) {
            return end(&world);
        }
        happens(&world, act);
    }
    sleep_until(began + Duration::from_millis(HORIZON)).await;
    calm(&world).await;
    rest(&world).await;
    if !is_broken(&world) {
        settled(&world).await;
    }
    end(&world)
}

fn is_broken(world: &World) -> bool {
    world.data(|data, _| data.laws.broken.is_some())
}

fn end(world: &World) -> Ran {
    let (broken, mut counts) = world.data(|data, _| {
        (
            data.laws.broken.clone(),
            std::mem::take(&mut data.laws.counts),
        )
    });
    counts.insert("seconds lived", world.elapsed() / 1000);
    world.forget();
    Ran {
        broken,
        counts,
        story: world.story(),
    }
}

fn happens(world: &World, act: &Act) {
    let later = world.clone();
    match act.clone() {
        Act::Ask {
            number,
            wish,
            tries,
        } => drop(tokio::spawn(people::ask(later, number, wish, tries))),
        Act::Cancel { number } => drop(tokio::spawn(people::cancel(later, number))),
        Act::Settle { say } => drop(tokio::spawn(people::settle(later, say))),
        Act::Reject { branch } => drop(tokio::spawn(people::reject(later, branch))),
        Act::Drain { agent, on } => drop(tokio::spawn(people::drain(later, agent, on))),
        Act::Remove { agent } => drop(tokio::spawn(people::remove(later, agent))),
        Act::Reload { variant } => world.reload(variant),
        Act::KillManager { down } => {
            if world.kill_manager() {
                tokio::spawn(async move {
                    sleep(Duration::from_millis(down)).await;
                    later.start_manager();
                });
            }
        }
        Act::Kill { agent, down } => {
            if world.kill(agent) {
                agents::start_after(world, agent, down);
            }
        }
        Act::Stop { agent, down } => {
            for process in &world.state().machines[agent].processes {
                process.stop.send_replace(true);
            }
            agents::start_after(world, agent, 20_000 + down);
        }
        Act::KillAt { agent, step, down } => world.arm(agent, step, down),
        Act::Twin { agent } => {
            if world.0.plan.agents[agent].kind == AgentKind::Builder {
                tokio::spawn(async move { agents::start(&later, agent, true).await });
            }
        }
        Act::Jump { by } => world.jump(by),
    }
}

/// Nothing goes wrong any more, and everybody is there.
async fn calm(world: &World) {
    world.tell(|| "nothing goes wrong any more".into());
    world.state().calm = true;
    if world.app().is_none() {
        sleep(Duration::from_secs(30)).await;
    }
    for agent in 0..world.0.plan.agents.len() {
        agents::start(world, agent, false).await;
    }
}

/// Whether nothing goes on; else what does.
fn goes_on(world: &World) -> Option<String> {
    let open = world.data(|data, _| data.ids(|whole| !whole.transaction.phase.is_over()));
    (!open.is_empty()).then(|| format!("{open:?}"))
}

/// Waits until nothing goes on, and a while longer; then what must hold at rest must hold.
async fn rest(world: &World) {
    let until = Instant::now() + Duration::from_secs(REST);
    let mut quiet = 0;
    while quiet < 3 {
        sleep(Duration::from_secs(LEASE)).await;
        if is_broken(world) {
            return;
        }
        quiet = if goes_on(world).is_none() {
            quiet + 1
        } else {
            0
        };
        if Instant::now() > until {
            let what = goes_on(world).unwrap_or_default();
            return world.data(|data, _| data.laws.breaks("everything comes to rest", what));
        }
        for agent in 0..world.0.plan.agents.len() {
            agents::start(world, agent, false).await;
        }
    }
    at_rest(world);
}

fn at_rest(world: &World) {
    let held = world.data(|data, _| data.locks.clone());
    let breaks = |law, what: String| world.data(|data, _| data.laws.breaks(law, what));
    if !held.is_empty() {
        breaks("what is over holds no lock", format!("{held:?}"));
    }
    rollbacks(world);
    disks(world);
    for (_, job) in world.data(|data, _| data.jobs(|job| job.state == JobState::Unknown)) {
        // What an installer knows the manager knows.
        if let Some(verdict) = recorded(world, &job.id, job.agent.as_ref().map(|a| a.as_str()))
            && !matches!(verdict, Verdict::Unknown { .. })
        {
            breaks("what is known is told", format!("{}: {verdict:?}", job.id));
        }
    }
}

/// What the record of an installer says of a job; read from a copy, since the installer has the record.
fn recorded(world: &World, job: &JobId, agent: Option<&str>) -> Option<Verdict> {
    let number = world
        .0
        .plan
        .agents
        .iter()
        .position(|a| Some(a.name.as_str()) == agent)?;
    if !world.is_installer(number) {
        return None;
    }
    let folder = world.folder(number);
    let copy = folder.join("copy");
    std::fs::create_dir_all(&copy).unwrap();
    std::fs::copy(
        folder.join("state/installs.jsonl"),
        copy.join("installs.jsonl"),
    )
    .unwrap();
    let guard = Guard::new(
        Fence::open(&copy).unwrap(),
        Groups::of(&copy),
        Arc::new(|_, _| {}),
    );
    Some(guard.probe(job))
}

/// What is owed is paid, once, and said to be.
fn rollbacks(world: &World) {
    world.data(|data, _| {
        let mut faults = Vec::new();
        for kept in &data.transactions {
            let id = &kept.whole.transaction.id;
            let has = |what: &str| kept.history.iter().any(|entry| entry.what == what);
            if has(OWED) && !has(BEGUN) && !has(LEFT) {
                faults.push(format!("{id} owes a rollback"));
            }
            let Some((of, _)) = takes_back(&kept.whole.transaction) else {
                continue;
            };
            let named = data.kept(&of).is_some_and(|of| {
                let mut begun = of.history.iter().filter(|entry| entry.what == BEGUN);
                begun.any(|entry| entry.detail.contains(&format!("by {id}:")))
            });
            if !named {
                faults.push(format!(
                    "{id} takes {of} back, whose history does not say so"
                ));
            }
        }
        if let Some(fault) = faults.pop() {
            data.laws.breaks("a failure is taken back", fault);
        }
    });
}

/// What the manager says is where is there.
fn disks(world: &World) {
    for number in 0..world.0.plan.agents.len() {
        let disk = world.state().machines[number].disk.clone();
        for (place, there) in disk {
            world.data(|data, _| at_place(data, &place, &there));
        }
    }
}

/// What the manager says is in a place is there, unless it says that it does not know.
fn at_place(data: &mut Data, place: &(Spot, Project), there: &There) {
    let ((agent, environment, target), project) = place;
    let mut rows = data.installed.values().filter(|row| {
        (&row.agent, &row.environment, &row.target) == (agent, environment, target)
            && row.release.project == *project
    });
    let row = rows.next().map(|row| row.release.clone());
    // Who wants a job done again, and then it is not, has the place as the job had left it.
    let job = data.job(&there.by);
    let open = job.is_some_and(|(_, job)| {
        let again = data.laws.again.contains(&job.id) && job.state != JobState::Done;
        job.state == JobState::Unknown || again
    });
    if !there.whole {
        let what = format!("{place:?}: {there:?}");
        data.laws.breaks("visible whole or not at all", what);
    }
    if row.as_ref() != Some(&there.release) && !open {
        let what = format!(
            "{place:?} has {}, and the manager says {row:?}",
            there.release
        );
        data.laws.breaks("the manager knows what is where", what);
    }
}

/// An operator looks at all that is unknown and settles it; then nothing is unknown any more.
async fn settled(world: &World) {
    for _ in 0..20 {
        if people::settle(world.clone(), Say::WhatIsThere).await == 0 {
            break;
        }
        rest(world).await;
        if is_broken(world) {
            return;
        }
    }
    let left = world.data(|data, _| {
        data.ids(|whole| whole.jobs.iter().any(|job| job.state == JobState::Unknown))
    });
    if !left.is_empty() {
        world.data(|data, _| {
            data.laws
                .breaks("what is unknown can be settled", format!("{left:?}"))
        });
    }
    let half = world.data(|data, _| data.ids(|whole| whole.transaction.phase == Phase::Waiting));
    if !half.is_empty() {
        world.data(|data, _| {
            data.laws
                .breaks("everything comes to rest", format!("{half:?} wait"))
        });
    }
}
