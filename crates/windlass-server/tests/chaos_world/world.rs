//! A world in one thread: the real manager and the real agents, on a clock, a net and a store of ours.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use windlass_model::config::share::Share;
use windlass_model::release::rollout::OnFailure;
use windlass_model::release::{AgentKind, JobId, Micros, Project, ReleaseId, Rollout};
use windlass_server::app::{App, Books, Parts};
use windlass_server::auth::Anonymous;
use windlass_server::settings::{EnvironmentSettings, ProjectSettings, Settings};
use windlass_testkit::chaos::Numbers;

use crate::agents;
use crate::data::Data;
use crate::laws::Spot;
use crate::ledger::Memory;
use crate::plan::{Act, Plan, Step, Weather};

/// How long an agent has a job, in seconds.
pub(crate) const LEASE: u64 = 6;
/// How long an installer may be away, in seconds; a builder too.
pub(crate) const DEADLINE: u64 = 25;
/// What the store's clock begins with: microseconds since 1970.
const EPOCH: Micros = 1_900_000_000_000_000;
/// Calls that an agent makes in ten seconds at most.
const MOST_CALLS: u64 = 400;

/// Who speaks: agents by their number, then the clients.
pub(crate) const CLIENT: usize = 90;
const STORE: usize = 91;
const WORKER: u64 = 1 << 40;

/// What becomes of an operation of the store.
pub(crate) struct OfStore {
    pub(crate) wait: Duration,
    pub(crate) refused: bool,
    pub(crate) unheard: bool,
}

/// What becomes of a call.
#[derive(Clone, Copy)]
pub(crate) struct OfCall {
    pub(crate) there: Duration,
    pub(crate) back: Duration,
    pub(crate) request_lost: bool,
    pub(crate) answer_lost: bool,
    /// When it arrives once more.
    pub(crate) again: Option<Duration>,
    /// Whether a caller who goes away takes what was begun for them along.
    pub(crate) dropped: bool,
}

/// What a place has: a release, and whether it is whole.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct There {
    pub(crate) release: ReleaseId,
    pub(crate) whole: bool,
    /// Which job put it there.
    pub(crate) by: JobId,
}

/// A process of an agent.
pub(crate) struct Process {
    pub(crate) number: u64,
    pub(crate) stop: watch::Sender<bool>,
    pub(crate) task: JoinHandle<()>,
}

/// An agent's machine.
#[derive(Default)]
pub(crate) struct Machine {
    pub(crate) processes: Vec<Process>,
    pub(crate) disk: BTreeMap<(Spot, Project), There>,
    /// Where it is to be ended, and for how long.
    armed: Vec<(Step, u64)>,
    /// Calls since when.
    calls: (u64, u64),
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) app: Option<App>,
    spare: Vec<App>,
    manager: JoinSet<()>,
    pub(crate) machines: Vec<Machine>,
    /// Jobs that a process was told to begin and has not ended.
    pub(crate) in_hand: BTreeSet<(JobId, u64)>,
    alive: BTreeSet<u64>,
    counters: BTreeMap<usize, u64>,
    processes: u64,
    jump: Micros,
    variant: u64,
    pub(crate) calm: bool,
    story: Vec<String>,
}

pub(crate) struct Inner {
    pub(crate) plan: Plan,
    folder: PathBuf,
    began: Instant,
    state: Mutex<State>,
    data: Mutex<Data>,
}

/// The handle of a world.
#[derive(Clone)]
pub(crate) struct World(pub(crate) Arc<Inner>);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn name<T: std::str::FromStr<Err = String>>(text: &str) -> T {
    text.parse().unwrap()
}

impl World {
    /// With nobody in it yet.
    pub(crate) async fn new(plan: Plan, folder: &Path) -> Self {
        let mut data = Data::new(plan.flaw);
        let patience = DEADLINE as Micros * 1_000_000;
        data.laws.patience = (patience, patience);
        if plan.takes_back {
            data.laws.takes_back.insert(name("p"));
        }
        let machines = plan.agents.iter().map(|_| Machine::default()).collect();
        let world = Self(Arc::new(Inner {
            folder: folder.to_owned(),
            began: Instant::now(),
            state: Mutex::new(State {
                machines,
                ..State::default()
            }),
            data: Mutex::new(data),
            plan,
        }));
        // A manager for each time that one is started: making one waits for the disk, and nothing may wait later.
        let kills = world
            .0
            .plan
            .acts
            .iter()
            .filter(|(_, act)| matches!(act, Act::KillManager { .. }));
        for _ in 0..kills.count() + 2 {
            let app = world.make_app().await;
            world.state().spare.push(app);
        }
        world
    }

    async fn make_app(&self) -> App {
        let world = self.clone();
        let parts = Parts {
            store: Books::new(Arc::new(Memory::new(self.clone()))),
            directory: self.0.folder.clone(),
            blob_limit: 1 << 20,
            log_limit: 1 << 20,
            settings: self.settings(0),
            reload: Arc::new(move || Ok(world.settings(world.state().variant))),
            log: Arc::new(|_, _, _| {}),
        };
        App::new(parts).await.unwrap()
    }

    /// The manager's settings, one of a few variants.
    fn settings(&self, variant: u64) -> Settings {
        let plan = &self.0.plan;
        let rollout = Rollout {
            order: match plan.rollout {
                1 | 2 => vec![vec![name("db")], vec![name("web")]],
                _ => Vec::new(),
            },
            batch: match plan.rollout {
                2 | 3 => Some(Share::Count(1)),
                4 => Some(Share::Percent(50)),
                _ => None,
            },
            max_failures: (plan.rollout >= 4).then_some(Share::Count(1)),
            on_failure: match plan.takes_back {
                true => OnFailure::Rollback,
                false => OnFailure::Stop,
            },
        };
        let p = ProjectSettings {
            targets: match variant {
                1 => vec![name("web")],
                _ => vec![name("web"), name("db")],
            },
            actions: BTreeMap::from([("migrate".into(), "test".into())]),
            rollout,
        };
        let q = ProjectSettings {
            targets: vec![name("web")],
            ..ProjectSettings::default()
        };
        let mut projects = BTreeMap::from([(name("p"), p)]);
        if variant != 2 {
            projects.insert(name("q"), q);
        }
        let from = plan.prod_from_test.then(|| name("test"));
        Settings {
            projects,
            environments: BTreeMap::from([(name("prod"), EnvironmentSettings { from })]),
            auth: Arc::new(Anonymous),
            lease: Duration::from_secs(LEASE),
            install_deadline: Duration::from_secs(DEADLINE),
            build_deadline: Duration::from_secs(DEADLINE),
            request_limit: 1 << 20,
            tokens_on_loopback: false,
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.0.state)
    }

    /// Milliseconds since the world began.
    pub(crate) fn elapsed(&self) -> u64 {
        u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Now, by the store's clock.
    pub(crate) fn now(&self) -> Micros {
        let elapsed = i64::try_from(self.0.began.elapsed().as_micros()).unwrap_or(0);
        EPOCH + elapsed + self.state().jump
    }

    /// Reads or changes what the store has, at once.
    pub(crate) fn data<T>(&self, act: impl FnOnce(&mut Data, Micros) -> T) -> T {
        let (now, jump) = (self.now(), self.state().jump);
        let mut data = locked(&self.0.data);
        data.laws.jump = jump;
        act(&mut data, now)
    }

    pub(crate) fn folder(&self, agent: usize) -> PathBuf {
        self.0.folder.join(format!("agent{agent}"))
    }

    /// Notes what happened, for whoever looks for the reason of a fault.
    pub(crate) fn tell(&self, what: impl FnOnce() -> String) {
        let at = self.elapsed();
        let mut state = self.state();
        if state.story.len() < 4_000 {
            state.story.push(format!("{at:>7} ms {}", what()));
        }
    }

    pub(crate) fn story(&self) -> Vec<String> {
        self.state().story.clone()
    }

    /// Numbers for the next decision about somebody.
    fn numbers(&self, party: usize) -> Numbers {
        let mut state = self.state();
        let counter = state.counters.entry(party).or_default();
        *counter += 1;
        Numbers::of_case(self.0.plan.seed ^ ((party as u64) << 48), *counter)
    }

    /// Numbers for a piece of work, the same whenever it is asked for.
    pub(crate) fn numbers_of(&self, job: &JobId, epoch: u64) -> Numbers {
        let bytes = job.as_str().bytes();
        let job = bytes.fold(7_u64, |all, byte| {
            all.wrapping_mul(131).wrapping_add(u64::from(byte))
        });
        Numbers::of_case(self.0.plan.seed ^ WORKER, job ^ (epoch << 32))
    }

    fn weather(&self, party: Option<usize>) -> Vec<Weather> {
        if self.state().calm {
            return Vec::new();
        }
        let at = self.elapsed();
        let now = self.0.plan.spells.iter().filter(|spell| {
            (spell.from..spell.until).contains(&at)
                && (spell.agent.is_none() || party.is_none() || spell.agent == party)
        });
        now.map(|spell| spell.weather.clone()).collect()
    }

    pub(crate) fn fate_of_store(&self) -> OfStore {
        let mut n = self.numbers(STORE);
        let mut wait = if n.percent(80) { 0 } else { 1 + n.below(6) };
        let (mut refused, mut unheard) = (false, false);
        for weather in self.weather(None) {
            match weather {
                Weather::StoreRefuses { percent } => refused |= n.percent(percent),
                Weather::StoreUnheard { percent } => unheard |= n.percent(percent),
                Weather::StoreSlow { longest } => wait += n.below(longest),
                _ => {}
            }
        }
        OfStore {
            wait: Duration::from_millis(wait),
            refused,
            unheard,
        }
    }

    pub(crate) fn wait_of_store(&self) -> Duration {
        let mut n = self.numbers(STORE);
        Duration::from_millis(if n.percent(60) { 0 } else { 1 + n.below(8) })
    }

    pub(crate) fn fate_of_call(&self, party: usize) -> OfCall {
        let mut n = self.numbers(party);
        let mut fate = OfCall {
            there: Duration::from_millis(1 + n.below(8)),
            back: Duration::from_millis(1 + n.below(8)),
            request_lost: false,
            answer_lost: false,
            again: None,
            dropped: n.percent(50),
        };
        for weather in self.weather(Some(party)) {
            match weather {
                Weather::RequestsLost { percent } => fate.request_lost |= n.percent(percent),
                Weather::AnswersLost { percent } => fate.answer_lost |= n.percent(percent),
                Weather::Twice { percent } if n.percent(percent) => {
                    fate.again = Some(Duration::from_millis(n.below(9_000)));
                }
                Weather::Slow { longest } => {
                    fate.there += Duration::from_millis(n.below(longest));
                    fate.back += Duration::from_millis(n.below(longest));
                }
                _ => {}
            }
        }
        fate
    }

    /// Counts a call of an agent: one that asks without end is as bad as one that does not ask.
    pub(crate) fn called(&self, agent: usize) {
        let at = self.elapsed();
        let mut state = self.state();
        let Some(machine) = state.machines.get_mut(agent) else {
            return;
        };
        if at - machine.calls.0 > 10_000 {
            machine.calls = (at, 0);
        }
        machine.calls.1 += 1;
        let many = machine.calls.1 > MOST_CALLS;
        drop(state);
        if many {
            self.data(|data, _| {
                data.laws.breaks(
                    "nobody asks without end",
                    format!("agent {agent}: {MOST_CALLS} calls in 10 s"),
                );
            });
        }
    }

    /// Runs something as a part of the manager's process.
    pub(crate) fn in_manager(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut state = self.state();
        while state.manager.try_join_next().is_some() {}
        state.manager.spawn(task);
    }

    pub(crate) fn app(&self) -> Option<App> {
        self.state().app.clone()
    }

    pub(crate) fn start_manager(&self) {
        let Some(app) = self.state().spare.pop() else {
            return;
        };
        app.reload().unwrap();
        self.tell(|| "the manager starts".into());
        self.state().app = Some(app.clone());
        self.in_manager(app.schedule());
    }

    pub(crate) fn kill_manager(&self) -> bool {
        let mut state = self.state();
        if state.app.take().is_none() {
            return false;
        }
        let old = std::mem::take(&mut state.manager);
        drop(state);
        drop(old);
        self.tell(|| "the manager is ended".into());
        true
    }

    /// Nothing of the world holds the world any more.
    pub(crate) fn forget(&self) {
        let mut state = self.state();
        let managers = (state.app.take(), std::mem::take(&mut state.spare));
        drop(state);
        drop(managers);
    }

    pub(crate) fn jump(&self, by: i64) {
        self.state().jump += by * 1000;
    }

    pub(crate) fn reload(&self, variant: u64) {
        self.state().variant = variant;
        if let Some(app) = self.app() {
            app.reload().unwrap();
        }
    }

    pub(crate) fn is_alive(&self, process: u64) -> bool {
        self.state().alive.contains(&process)
    }

    /// The number of a process that begins.
    pub(crate) fn new_process(&self) -> u64 {
        let mut state = self.state();
        state.processes += 1;
        let number = state.processes;
        state.alive.insert(number);
        number
    }

    /// Ends the processes of an agent as a `kill -9` does; gives whether there were any.
    pub(crate) fn kill(&self, agent: usize) -> bool {
        let mut state = self.state();
        let Some(machine) = state.machines.get_mut(agent) else {
            return false;
        };
        let processes = std::mem::take(&mut machine.processes);
        let any = !processes.is_empty();
        for process in &processes {
            state.alive.remove(&process.number);
            state.in_hand.retain(|(_, of)| *of != process.number);
            process.task.abort();
        }
        drop(state);
        for process in processes {
            self.tell(|| {
                format!(
                    "{} {} is ended",
                    self.0.plan.agents[agent].name, process.number
                )
            });
            self.data(|data, _| data.laws.died(process.number));
        }
        any
    }

    /// A process ended by itself.
    pub(crate) fn gone(&self, agent: usize, number: u64) {
        let mut state = self.state();
        state.alive.remove(&number);
        state.in_hand.retain(|(_, of)| *of != number);
        if let Some(machine) = state.machines.get_mut(agent) {
            machine.processes.retain(|process| process.number != number);
        }
        drop(state);
        self.data(|data, _| data.laws.died(number));
    }

    pub(crate) fn arm(&self, agent: usize, step: Step, down: u64) {
        if let Some(machine) = self.state().machines.get_mut(agent) {
            machine.armed.push((step, down));
        }
    }

    /// An installer has come so far; it may be ended here.
    pub(crate) async fn passes(&self, agent: usize, process: u64, step: Step) {
        if !self.is_alive(process) {
            return std::future::pending().await;
        }
        let armed = {
            let mut state = self.state();
            let calm = state.calm;
            let machine = state.machines.get_mut(agent);
            machine.filter(|_| !calm).and_then(|machine| {
                let at = machine.armed.iter().position(|(armed, _)| *armed == step)?;
                Some(machine.armed.remove(at).1)
            })
        };
        if let Some(down) = armed {
            self.tell(|| format!("{}: {step:?}", self.0.plan.agents[agent].name));
            self.kill(agent);
            agents::start_after(self, agent, down);
            std::future::pending().await
        }
    }

    pub(crate) fn is_installer(&self, agent: usize) -> bool {
        self.0
            .plan
            .agents
            .get(agent)
            .is_some_and(|a| a.kind == AgentKind::Installer)
    }
}
