//! In which order the installers of a release act.

use serde::{Deserialize, Serialize};

use super::ids::{AgentName, TargetName};
use crate::config::share::Share;

/// How a project's installs go out. The default is one wave: all at once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rollout {
    /// Targets that come one after the other; those of one entry together. Targets that it does not name come last, together.
    pub order: Vec<Vec<TargetName>>,
    /// Installs of a wave at most, of all that an entry of `order` has; none: all.
    pub batch: Option<Share>,
    /// Installs that may fail before no further wave begins.
    pub max_failures: Option<Share>,
    /// What happens when more fail.
    pub on_failure: OnFailure,
}

/// What follows a failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Nothing more begins.
    #[default]
    Stop,
    /// What was installed goes back to what was good before.
    Rollback,
}

/// Cuts installs into waves. Pure; the same input gives the same waves.
pub fn waves(
    installs: &[(TargetName, AgentName)],
    rollout: &Rollout,
) -> Vec<Vec<(TargetName, AgentName)>> {
    let mut left: Vec<(TargetName, AgentName)> = installs.to_vec();
    left.sort();
    left.dedup();
    let mut waves = Vec::new();
    let mut cut = |group: Vec<(TargetName, AgentName)>| {
        let all = u32::try_from(group.len()).unwrap_or(u32::MAX);
        let size = rollout.batch.map_or(all, |batch| batch.limit_of(all));
        waves.extend(group.chunks(size.max(1) as usize).map(<[_]>::to_vec));
    };
    for targets in &rollout.order {
        let (group, rest) = left
            .into_iter()
            .partition(|(target, _)| targets.contains(target));
        left = rest;
        cut(group);
    }
    cut(left);
    waves
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installs(names: &[(&str, &str)]) -> Vec<(TargetName, AgentName)> {
        let parse =
            |(target, agent): &(&str, &str)| Some((target.parse().ok()?, agent.parse().ok()?));
        names.iter().filter_map(parse).collect()
    }

    fn shown(waves: Vec<Vec<(TargetName, AgentName)>>) -> String {
        let wave = |wave: &Vec<(TargetName, AgentName)>| {
            let names: Vec<String> = wave.iter().map(|(t, a)| format!("{t}/{a}")).collect();
            names.join(" ")
        };
        waves.iter().map(wave).collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn by_default_all_at_once() {
        let all = installs(&[("web", "b"), ("web", "a"), ("db", "a"), ("web", "a")]);
        assert_eq!(shown(waves(&all, &Rollout::default())), "db/a web/a web/b");
        assert!(waves(&[], &Rollout::default()).is_empty());
    }

    #[test]
    fn ordered_and_in_batches() {
        let all = installs(&[
            ("web", "a"),
            ("web", "b"),
            ("web", "c"),
            ("db", "a"),
            ("docs", "a"),
        ]);
        let rollout = Rollout {
            order: vec![
                installs(&[("db", "x")])
                    .into_iter()
                    .map(|(t, _)| t)
                    .collect(),
                installs(&[("web", "x")])
                    .into_iter()
                    .map(|(t, _)| t)
                    .collect(),
            ],
            batch: Some(Share::Percent(50)),
            ..Rollout::default()
        };
        assert_eq!(
            shown(waves(&all, &rollout)),
            "db/a | web/a | web/b | web/c | docs/a"
        );
    }
}
