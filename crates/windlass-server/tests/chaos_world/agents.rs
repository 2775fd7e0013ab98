//! Builders and installers: processes of the real service, whose work is an effect on a simulated machine.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::sleep;
use windlass_agent::fence::Fence;
use windlass_agent::groups::Groups;
use windlass_agent::guard::Guard;
use windlass_agent::service::{Agent, BuiltFiles, InstallEnd, Work as Errand, Worker};
use windlass_agent::work::{Failure, FailureKind, InstallFailed, Installed, Row};
use windlass_model::ids::HostName;
use windlass_model::release::machine::Verdict;
use windlass_model::release::{
    Advertisement, AgentKind, BuildSpec, Index, InstallSpec, Item, JobId, Version,
};

use crate::flaws::Flaw;
use crate::laws::Work;
use crate::link::Link;
use crate::plan::Step;
use crate::world::{Process, There, World, name};

/// Whether a process of an agent lives.
fn lives(world: &World, agent: usize) -> bool {
    let state = world.state();
    let mut processes = state.machines[agent].processes.iter();
    processes.any(|process| !process.task.is_finished())
}

/// Starts an agent, unless a process of it lives; `twin`: all the same.
pub(crate) async fn start(world: &World, agent: usize, twin: bool) {
    let plan = world.0.plan.agents[agent].clone();
    if !twin && lives(world, agent) {
        return;
    }
    let directory = world.folder(agent);
    let guard = match plan.kind {
        AgentKind::Builder => None,
        AgentKind::Installer => match open(world, agent, &directory.join("state")).await {
            Some(guard) => Some(guard),
            None => return,
        },
    };
    // Another start may have been quicker while the record was waited for.
    if !twin && lives(world, agent) {
        return;
    }
    let number = world.new_process();
    let worker = Arc::new(Hand {
        world: world.clone(),
        agent,
        process: number,
        guard,
    });
    let link = Link {
        world: world.clone(),
        agent,
        process: number,
        credential: None,
        answer: crate::link::ANSWER,
    };
    let service = Agent {
        name: name(&plan.name),
        advertisement: advertisement(world, agent),
        slots: plan.slots,
        managers: vec![Arc::new(link)],
        token: None,
        directory,
        worker,
        log: Arc::new(|_, _| {}),
    };
    world.tell(|| format!("{} {number} starts", plan.name));
    let (stop, stopped) = watch::channel(false);
    let of = world.clone();
    let task = tokio::spawn(async move {
        service.serve(stopped).await.unwrap();
        of.gone(agent, number);
    });
    let process = Process { number, stop, task };
    world.state().machines[agent].processes.push(process);
}

/// Starts an agent later.
pub(crate) fn start_after(world: &World, agent: usize, down: u64) {
    let world = world.clone();
    tokio::spawn(async move {
        sleep(Duration::from_millis(down)).await;
        start(&world, agent, false).await;
    });
}

/// Opens the record of installs, where no other process is quicker; the process that had it may have left half a line.
async fn open(world: &World, agent: usize, state: &Path) -> Option<Guard> {
    let file = state.join("installs.jsonl");
    if file.exists() && world.numbers_of(&name("torn"), world.elapsed()).percent(30) {
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(&file)
            .unwrap();
        file.write_all(b"{\"begin\":{\"cluster\":\"one\",\"job\":\"t1")
            .unwrap();
    }
    loop {
        match Fence::open(state) {
            Ok(fence) => return Some(Guard::new(fence, Groups::of(state), Arc::new(|_, _| {}))),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                sleep(Duration::from_millis(1)).await;
                if lives(world, agent) {
                    return None;
                }
            }
            Err(e) => {
                let why = format!("agent {agent}: {e}");
                world.data(|data, _| data.laws.breaks("a record can be read again", why));
                std::future::pending::<()>().await;
            }
        }
    }
}

pub(crate) fn advertisement(world: &World, agent: usize) -> Advertisement {
    let plan = &world.0.plan.agents[agent];
    if plan.kind == AgentKind::Builder {
        return Advertisement::Projects(BTreeSet::from([name("p"), name("q")]));
    }
    let (prod, db) = plan.serves;
    let mut targets = BTreeSet::from([name("web")]);
    if db {
        targets.insert(name("db"));
    }
    let mut environments = BTreeMap::from([(name("test"), targets.clone())]);
    if prod {
        environments.insert(name("prod"), targets);
    }
    Advertisement::Environments(environments)
}

/// What a process of an agent does its work with.
struct Hand {
    world: World,
    agent: usize,
    process: u64,
    guard: Option<Guard>,
}

fn failure(kind: FailureKind, message: &str) -> InstallFailed {
    let message = message.to_owned();
    Failure { kind, message }.into()
}

impl Hand {
    /// How long a piece of work takes, in milliseconds.
    fn takes(&self, job: &JobId, epoch: u64) -> u64 {
        let mut n = self.world.numbers_of(job, epoch);
        match n.below(10) {
            0 => 8_000 + n.below(12_000),
            1..=3 => 2_000 + n.below(5_000),
            _ => 50 + n.below(1_500),
        }
    }

    /// Works for a while; false: it was told to stop.
    async fn works(&self, errand: &Errand<'_>, time: u64) -> bool {
        let mut interrupt = errand.interrupt.clone();
        tokio::select! {
            biased;
            () = interrupt.reached(2) => self.lives().await,
            () = sleep(Duration::from_millis(time)) => self.lives().await,
        }
        interrupt.times() < 2
    }

    /// What is ended does nothing any more, not even in the instant of its end.
    async fn lives(&self) {
        if !self.world.is_alive(self.process) {
            std::future::pending::<()>().await;
        }
    }

    fn begins(&self, errand: &Errand<'_>, install: Option<&InstallSpec>) {
        let spot = install.map(|spec| {
            let agent = name(&self.world.0.plan.agents[self.agent].name);
            (
                (agent, spec.environment.clone(), spec.target.clone()),
                spec.sequence,
            )
        });
        self.world
            .tell(|| format!("work on {} {} begins", errand.job, errand.epoch));
        let work = Work {
            job: errand.job.clone(),
            epoch: errand.epoch,
            process: self.process,
            spot,
        };
        self.world.data(|data, _| data.laws.begins(work));
    }

    fn ends(&self, errand: &Errand<'_>, good: bool) {
        self.world
            .tell(|| format!("work on {} {} ends: {good}", errand.job, errand.epoch));
        self.world
            .data(|data, _| data.laws.ends(errand.job, errand.epoch, good));
    }

    /// The effect of an install: the release is there, whole, from one instant on.
    async fn put(
        &self,
        spec: &InstallSpec,
        errand: &Errand<'_>,
    ) -> Result<Installed, InstallFailed> {
        self.lives().await;
        self.begins(errand, Some(spec));
        self.world
            .passes(self.agent, self.process, Step::AfterRecord)
            .await;
        let time = self.takes(errand.job, errand.epoch);
        let mut n = self.world.numbers_of(errand.job, errand.epoch + 1_000);
        let agent = name(&self.world.0.plan.agents[self.agent].name);
        let spot = (agent, spec.environment.clone(), spec.target.clone());
        let place = (spot, spec.release.project.clone());
        let there = |whole| There {
            release: spec.release.clone(),
            whole,
            by: errand.job.clone(),
        };
        if !self.works(errand, time / 2).await {
            self.ends(errand, false);
            return Err(failure(FailureKind::Interrupted, "it was stopped"));
        }
        if self.world.0.plan.flaw == Some(Flaw::WritesInPlace) {
            self.world.state().machines[self.agent]
                .disk
                .insert(place.clone(), there(false));
        }
        self.world
            .passes(self.agent, self.process, Step::MidWork)
            .await;
        if !self.works(errand, time - time / 2).await {
            self.ends(errand, false);
            return Err(failure(FailureKind::Interrupted, "it was stopped"));
        }
        let chance = n.below(100);
        if chance < 8 {
            self.ends(errand, false);
            return Err(failure(FailureKind::Failed, "no room on the disk"));
        }
        self.world.state().machines[self.agent]
            .disk
            .insert(place, there(true));
        let version = Some(spec.release.version.clone());
        let rows = vec![Row {
            host: HostName::local(),
            version,
        }];
        self.ends(errand, chance >= 14);
        self.world
            .passes(self.agent, self.process, Step::AfterWork)
            .await;
        match chance {
            8..=10 => Err(failure(
                FailureKind::Unknown,
                "the link to the host was lost",
            )),
            11..=13 => {
                let failed = failure(FailureKind::Failed, "it does not start");
                Err(InstallFailed { rows, ..failed })
            }
            _ => Ok(Installed { rows }),
        }
    }
}

#[async_trait]
impl Worker for Hand {
    async fn build(&self, spec: &BuildSpec, errand: Errand<'_>) -> Result<BuiltFiles, String> {
        self.act(spec, "build", errand).await?;
        Ok(BuiltFiles {
            index: index(&self.world, spec),
            files: BTreeMap::new(),
            keep: Box::new(()),
        })
    }

    async fn act(&self, _: &BuildSpec, _: &str, errand: Errand<'_>) -> Result<(), String> {
        self.lives().await;
        self.begins(&errand, None);
        let done = self
            .works(&errand, self.takes(errand.job, errand.epoch))
            .await;
        let good = done
            && !self
                .world
                .numbers_of(errand.job, errand.epoch + 2_000)
                .percent(8);
        self.ends(&errand, good);
        match (done, good) {
            (false, _) => Err("it was stopped".into()),
            (_, false) => Err("it does not compile".into()),
            _ => Ok(()),
        }
    }

    async fn install(&self, spec: &InstallSpec, _: &Path, errand: Errand<'_>) -> InstallEnd {
        let Some(guard) = &self.guard else {
            return InstallEnd::Failed("a builder installs nothing".into(), Vec::new());
        };
        self.world
            .passes(self.agent, self.process, Step::BeforeRecord)
            .await;
        let right = Errand {
            interrupt: errand.interrupt.clone(),
            ..errand
        };
        let end = guard.install(spec, right, self.put(spec, &errand)).await;
        let end = match (end, self.world.0.plan.flaw) {
            (InstallEnd::Failed(why, _), Some(Flaw::AsksNoFence)) if why.contains("too late") => {
                let _ = self.put(spec, &errand).await;
                InstallEnd::Installed(Vec::new())
            }
            (end, _) => end,
        };
        self.world
            .passes(self.agent, self.process, Step::BeforeTelling)
            .await;
        match (end, self.world.0.plan.flaw) {
            (InstallEnd::Failed(..), Some(Flaw::HidesFailure)) => InstallEnd::Installed(Vec::new()),
            (end, _) => end,
        }
    }

    async fn probe(&self, job: &JobId) -> Verdict {
        let verdict = self.guard.as_ref().map(|guard| guard.probe(job));
        match (verdict, self.world.0.plan.flaw) {
            (Some(Verdict::Unknown { .. }), Some(Flaw::DeniesWork)) | (None, _) => {
                Verdict::NotBegun
            }
            (Some(verdict), _) => verdict,
        }
    }
}

/// What a build gives: the version of its branch, and not always the same contents.
fn index(world: &World, spec: &BuildSpec) -> Index {
    let branch = spec
        .request
        .get("branch")
        .and_then(|b| b.as_str())
        .unwrap_or("b0");
    let version: Version = name(&format!("1.{}", branch.trim_start_matches('b')));
    let number: u64 = spec
        .transaction
        .as_str()
        .trim_start_matches('t')
        .parse()
        .unwrap_or(0);
    let mut n = world.numbers_of(&name("content"), number);
    let content = if n.percent(60) { 0 } else { n.below(3) };
    let item = |target: &str| Item {
        name: format!("{target}.zip"),
        digest: name(&format!(
            "{:0>64x}",
            hash(&format!("{} {version} {target} {content}", spec.project))
        )),
        size: 10 + content,
    };
    Index {
        format: 1,
        project: spec.project.clone(),
        targets: spec
            .targets
            .iter()
            .map(|t| (t.clone(), item(t.as_str())))
            .collect(),
        version,
        revision: Some(format!("r{content}")),
    }
}

fn hash(text: &str) -> u128 {
    text.bytes().fold(
        0x6c62_272e_07bb_0142_62b8_2175_6295_c58d,
        |all: u128, byte| {
            (all ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013B)
        },
    )
}
