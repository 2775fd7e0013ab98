//! How long it takes from a victim's restart until something goes on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use windlass_testkit::chaos::{Times, Trial};

use super::stage::{Stage, Victim};

/// What is waited for, and since when.
struct Open {
    since: Instant,
    /// Where the witness stood.
    from: u64,
}

/// Times by the kind of victim.
#[derive(Default)]
pub(crate) struct Recovery {
    open: BTreeMap<Victim, Open>,
    times: BTreeMap<&'static str, (Times, u64)>,
}

impl Recovery {
    /// It was started again.
    pub(crate) fn restarted(&mut self, victim: Victim, stage: &Stage) {
        let open = Open {
            since: Instant::now(),
            from: stage.witness.end(),
        };
        self.open.insert(victim, open);
    }

    /// It is killed; one that had not recovered by then is counted apart.
    pub(crate) fn killed(&mut self, victim: Victim) {
        if self.open.remove(&victim).is_some() {
            self.times.entry(victim.kind()).or_default().1 += 1;
        }
    }

    /// Looks what has gone on. A manager and a database have recovered when a request that needs both is answered, an agent
    /// when it begins something: what its killed process had begun goes on by itself.
    pub(crate) fn look(&mut self, stage: &Stage) {
        let mut done = Vec::new();
        for (victim, open) in &self.open {
            let has = match victim {
                Victim::Manager | Victim::Database => stage.answers(),
                Victim::Builder(_) | Victim::Installer(_) => {
                    let name = stage.name(*victim);
                    let said = stage.witness.since(open.from);
                    said.iter()
                        .any(|line| line.agent.starts_with(&name) && line.what == "start")
                }
            };
            if has {
                done.push((*victim, open.since.elapsed()));
            }
        }
        for (victim, time) in done {
            self.open.remove(&victim);
            self.times.entry(victim.kind()).or_default().0.add(time);
        }
    }

    /// Looks for so long.
    pub(crate) fn look_for(&mut self, stage: &Stage, time: Duration) {
        let begun = Instant::now();
        loop {
            self.look(stage);
            let Some(left) = time.checked_sub(begun.elapsed()) else {
                return;
            };
            std::thread::sleep(left.min(Duration::from_millis(20)));
        }
    }

    pub(crate) fn report(&self, trial: &Trial, store: &str) {
        for (kind, (times, again)) in &self.times {
            trial.report(format_args!(
                "{store}: recovery from the restart of {kind}: {times}; {again} killed again before"
            ));
        }
    }
}
