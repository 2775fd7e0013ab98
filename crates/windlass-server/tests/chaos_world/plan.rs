//! A schedule: who there is, what is asked for, and what goes wrong when. The same numbers give the same one.

use windlass_model::release::AgentKind;
use windlass_testkit::chaos::Numbers;

use crate::flaws::Flaw;

/// How long things go on and go wrong, in milliseconds.
pub(crate) const HORIZON: u64 = 60_000;

/// A builder or an installer.
#[derive(Clone, Debug)]
pub(crate) struct AgentPlan {
    pub(crate) kind: AgentKind,
    pub(crate) name: String,
    pub(crate) slots: u32,
    /// Whether an installer serves `prod` beside `test`, and `db` beside `web`.
    pub(crate) serves: (bool, bool),
    /// How long its clock takes for a second of the world's, in hundredths.
    pub(crate) drift: u64,
}

/// Where an installer may be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    BeforeRecord,
    AfterRecord,
    MidWork,
    AfterWork,
    BeforeTelling,
}

/// What a client asks for.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    Build {
        project: &'static str,
        branch: u64,
    },
    Install {
        project: &'static str,
        branch: u64,
        environment: &'static str,
    },
    Release {
        project: &'static str,
        branch: u64,
        environment: &'static str,
    },
    Action,
}

/// What an operator says of a job that is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Say {
    WhatIsThere,
    Again,
}

/// Something that happens at a time.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Ask {
        number: u64,
        wish: Wish,
        tries: u64,
    },
    Cancel {
        number: u64,
    },
    Settle {
        say: Say,
    },
    Reject {
        branch: u64,
    },
    Drain {
        agent: usize,
        on: bool,
    },
    Remove {
        agent: usize,
    },
    Reload {
        variant: u64,
    },
    KillManager {
        down: u64,
    },
    Kill {
        agent: usize,
        down: u64,
    },
    Stop {
        agent: usize,
        down: u64,
    },
    KillAt {
        agent: usize,
        step: Step,
        down: u64,
    },
    /// Another builder of the same name begins while this one lives.
    Twin {
        agent: usize,
    },
    /// The store's clock jumps.
    Jump {
        by: i64,
    },
}

/// What is wrong for a while.
#[derive(Clone, Debug)]
pub(crate) enum Weather {
    RequestsLost { percent: u64 },
    AnswersLost { percent: u64 },
    Twice { percent: u64 },
    Slow { longest: u64 },
    StoreRefuses { percent: u64 },
    StoreUnheard { percent: u64 },
    StoreSlow { longest: u64 },
}

/// A while. `agent`: between whom and the manager; none: for everybody.
#[derive(Clone, Debug)]
pub(crate) struct Spell {
    pub(crate) from: u64,
    pub(crate) until: u64,
    pub(crate) agent: Option<usize>,
    pub(crate) weather: Weather,
}

/// A schedule.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) agents: Vec<AgentPlan>,
    pub(crate) acts: Vec<(u64, Act)>,
    pub(crate) spells: Vec<Spell>,
    /// How installs go out: one of a few ways.
    pub(crate) rollout: u64,
    pub(crate) takes_back: bool,
    pub(crate) prod_from_test: bool,
    pub(crate) flaw: Option<Flaw>,
}

/// How fast a clock is.
fn drift(n: &mut Numbers) -> u64 {
    match n.percent(60) {
        true => 100,
        false => 80 + n.below(46),
    }
}

fn agents(n: &mut Numbers) -> Vec<AgentPlan> {
    let mut agents = Vec::new();
    for number in 0..=n.below(2) {
        agents.push(AgentPlan {
            kind: AgentKind::Builder,
            name: format!("b{number}"),
            slots: 1 + n.below(2) as u32,
            serves: (false, false),
            drift: drift(n),
        });
    }
    for number in 0..2 + n.below(3) {
        agents.push(AgentPlan {
            kind: AgentKind::Installer,
            name: format!("i{number}"),
            slots: 1 + n.below(3) as u32,
            serves: (number == 0 || n.percent(40), number < 2 || n.percent(40)),
            drift: drift(n),
        });
    }
    agents
}

fn wish(n: &mut Numbers) -> Wish {
    let project = if n.percent(75) { "p" } else { "q" };
    let branch = n.below(4);
    let environment = if n.percent(80) { "test" } else { "prod" };
    match n.below(10) {
        0 => Wish::Action,
        1 | 2 => Wish::Build { project, branch },
        3..=5 => Wish::Release {
            project,
            branch,
            environment,
        },
        _ => Wish::Install {
            project,
            branch,
            environment,
        },
    }
}

fn trouble(n: &mut Numbers, agents: &[AgentPlan], asked: u64) -> Act {
    let all = agents.len() as u64;
    let agent = n.below(all) as usize;
    let installers: Vec<usize> = (0..agents.len())
        .filter(|a| agents[*a].kind == AgentKind::Installer)
        .collect();
    let installer = n.pick(&installers).copied().unwrap_or(agent);
    let down = match n.below(4) {
        0 => 50 + n.below(500),
        1 | 2 => 500 + n.below(6_000),
        _ => 5_000 + n.below(25_000),
    };
    match n.below(34) {
        0..=3 => Act::KillManager { down },
        4..=7 => Act::Kill { agent, down },
        8 | 9 => Act::Stop { agent, down },
        10..=17 => {
            let steps = [
                Step::BeforeRecord,
                Step::AfterRecord,
                Step::MidWork,
                Step::AfterWork,
                Step::BeforeTelling,
            ];
            let step = n.pick(&steps).copied().unwrap_or(Step::MidWork);
            Act::KillAt {
                agent: installer,
                step,
                down,
            }
        }
        18..=20 => Act::Cancel {
            number: n.below(asked),
        },
        21 | 22 => Act::Settle {
            say: Say::WhatIsThere,
        },
        23..=25 => Act::Settle { say: Say::Again },
        26 => Act::Reject { branch: n.below(4) },
        27 => Act::Drain {
            agent,
            on: n.percent(50),
        },
        28 => Act::Remove { agent },
        29 => Act::Reload {
            variant: n.below(3),
        },
        30 => Act::Twin { agent: 0 },
        31 => Act::Jump {
            by: n.below(40_000) as i64 - 15_000,
        },
        _ => Act::KillManager {
            down: 20 + n.below(200),
        },
    }
}

fn spell(n: &mut Numbers, agents: usize) -> Spell {
    let from = n.below(HORIZON);
    let lasts = if n.percent(70) {
        500 + n.below(5_000)
    } else {
        5_000 + n.below(20_000)
    };
    let percent = [20, 50, 100][n.below(3) as usize];
    let weather = match n.below(14) {
        0..=2 => Weather::RequestsLost { percent },
        3..=6 => Weather::AnswersLost { percent },
        7 | 8 => Weather::Twice { percent },
        9 => Weather::Slow {
            longest: 200 + n.below(10_000),
        },
        10 => Weather::StoreRefuses { percent },
        11 | 12 => Weather::StoreUnheard {
            percent: percent.min(50),
        },
        _ => Weather::StoreSlow {
            longest: 100 + n.below(3_000),
        },
    };
    let agent = n.percent(60).then(|| n.below(agents as u64) as usize);
    Spell {
        from,
        until: from + lasts,
        agent,
        weather,
    }
}

impl Plan {
    /// The schedule of these numbers.
    pub(crate) fn new(mut numbers: Numbers) -> Self {
        let n = &mut numbers;
        let seed = n.any();
        let agents = agents(n);
        let asked = 2 + n.below(9);
        let mut acts = Vec::new();
        for number in 0..asked {
            let tries = 1 + n.below(4);
            acts.push((
                n.below(HORIZON * 2 / 3),
                Act::Ask {
                    number,
                    wish: wish(n),
                    tries,
                },
            ));
        }
        // Some schedules are quiet, so that what goes wrong by itself is seen; most are not.
        let troubles = n.below(14);
        for _ in 0..troubles {
            acts.push((n.below(HORIZON), trouble(n, &agents, asked)));
        }
        acts.sort_by_key(|(at, _)| *at);
        let spells = (0..n.below(7)).map(|_| spell(n, agents.len())).collect();
        Self {
            seed,
            agents,
            acts,
            spells,
            rollout: n.below(6),
            takes_back: n.percent(50),
            prod_from_test: n.percent(50),
            flaw: None,
        }
    }

    /// What may be left out of it.
    pub(crate) fn parts(&self) -> usize {
        self.acts.len() + self.spells.len()
    }

    /// The same without a part.
    pub(crate) fn without(&self, part: usize) -> Self {
        let mut plan = self.clone();
        match part.checked_sub(plan.acts.len()) {
            None => drop(plan.acts.remove(part)),
            Some(spell) => drop(plan.spells.remove(spell)),
        }
        plan
    }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for agent in &self.agents {
            writeln!(f, "    {agent:?}")?;
        }
        writeln!(
            f,
            "    rollout {}, takes back {}, prod from test {}",
            self.rollout, self.takes_back, self.prod_from_test
        )?;
        for spell in &self.spells {
            writeln!(
                f,
                "    {} ms to {} ms, {:?}: {:?}",
                spell.from, spell.until, spell.agent, spell.weather
            )?;
        }
        for (at, act) in &self.acts {
            writeln!(f, "    {at} ms {act:?}")?;
        }
        Ok(())
    }
}
