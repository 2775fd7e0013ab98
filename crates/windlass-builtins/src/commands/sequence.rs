//! Commands one after another, as one command.

use std::path::PathBuf;
use std::time::Duration;

use windlass_engine::command::{Command, Facts, Owes, Repeat, Seen, Turn};
use windlass_model::ids::HostName;
use windlass_model::outcome::Outcome;
use windlass_model::step::{Level, Step};

/// Runs its parts in order; stops at the first that does not let the rest go on. Changed when one of them changed
/// something.
pub struct Sequence {
    parts: Vec<Box<dyn Command>>,
    repeat: Repeat,
}

impl Sequence {
    /// `repeat` says whether the whole may be done again from its begin, whatever was done of it.
    pub fn new(parts: Vec<Box<dyn Command>>, repeat: Repeat) -> Self {
        Self { parts, repeat }
    }

    fn each<T>(&self, of: impl Fn(&dyn Command) -> Vec<T>) -> Vec<T> {
        self.parts.iter().flat_map(|part| of(&**part)).collect()
    }
}

impl Command for Sequence {
    /// Every part is asked anew with the replies that were its own, so the same replies give the same turn.
    fn turn(&self, facts: &Facts, seen: &[Seen]) -> Turn {
        let mut rest = seen;
        let mut began = Duration::ZERO;
        let mut changed = false;
        for (index, part) in self.parts.iter().enumerate() {
            let mut own: Vec<Seen> = Vec::new();
            loop {
                let turn = part.turn(facts, &own);
                let heard = match &turn {
                    Turn::End(verdict) if !verdict.outcome.lets_go_on() => return turn,
                    Turn::End(verdict) => {
                        changed |= verdict.outcome == Outcome::Changed;
                        break;
                    }
                    Turn::Do(steps) | Turn::Last(steps) | Turn::Wait { steps, .. } => {
                        heard(steps, rest)
                    }
                    Turn::Call(_) => rest.len().min(1),
                };
                let (now, later) = rest.split_at(heard);
                if now.is_empty() {
                    return match turn {
                        Turn::Last(steps) if index + 1 < self.parts.len() => Turn::Do(steps),
                        turn => turn,
                    };
                }
                own.extend(now.iter().map(|seen| Seen {
                    reply: seen.reply.clone(),
                    at: seen.at.saturating_sub(began),
                }));
                rest = later;
            }
            began += own.last().map_or(Duration::ZERO, |seen| seen.at);
        }
        Turn::from(if changed {
            Outcome::Changed
        } else {
            Outcome::Unchanged
        })
    }

    fn takes_out(&self) -> bool {
        self.parts.iter().any(|part| part.takes_out())
    }

    fn repeat(&self) -> Repeat {
        self.repeat
    }

    fn owes(&self) -> Owes {
        Owes {
            opens: self.each(|part| part.owes().opens),
            closes: self.each(|part| part.owes().closes),
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        self.each(|part| part.files())
    }

    fn other_hosts(&self) -> Vec<HostName> {
        let mut hosts = self.each(|part| part.other_hosts());
        hosts.sort();
        hosts.dedup();
        hosts
    }

    fn said(&self) -> Vec<(Level, String)> {
        self.each(|part| part.said())
    }
}

/// How many of the replies are those to `steps`: up to the first that is not wanted.
fn heard(steps: &[Step], replies: &[Seen]) -> usize {
    let unwanted = steps
        .iter()
        .zip(replies)
        .position(|(step, seen)| !seen.reply.is_wanted(step));
    match unwanted {
        Some(index) => index + 1,
        None => steps.len().min(replies.len()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use windlass_model::step::Reply;

    use super::*;
    use crate::commands::check_service::CheckService;
    use crate::commands::execute_command::ExecuteCommand;
    use crate::commands::start_service::StartService;
    use crate::commands::trial::{end, facts, failure, make, ran, seen, steps};

    fn sequence() -> Sequence {
        let start = json!({"start_command": "./up", "check_command": "./ok", "timeout": 3});
        Sequence::new(
            vec![
                make(&ExecuteCommand, json!({"run": "./a"})).unwrap(),
                make(&StartService, start).unwrap(),
                make(
                    &CheckService,
                    json!({"check_command": "./well", "timeout": 2}),
                )
                .unwrap(),
                make(&ExecuteCommand, json!({"run": "./z"})).unwrap(),
            ],
            Repeat::Ask,
        )
    }

    fn scripts(turn: Turn) -> Vec<String> {
        let script = |step| match step {
            Step::Run(run) => run.script,
            other => panic!("{other:?}"),
        };
        steps(turn).into_iter().map(script).collect()
    }

    #[test]
    fn each_part_hears_its_own_replies_by_its_own_clock() {
        let sequence = sequence();
        let mut so_far = Vec::new();
        let mut next = |replies: Vec<Seen>| {
            so_far.extend(replies);
            sequence.turn(&facts(), &so_far)
        };
        let first = next(Vec::new());
        assert!(matches!(first, Turn::Do(_)), "not the last of the whole");
        assert_eq!(scripts(first), ["./a"]);
        assert_eq!(scripts(next(vec![seen(100, ran(0, ""))])), ["./ok"]);
        assert_eq!(scripts(next(vec![seen(101, ran(1, ""))])), ["./up", "./ok"]);
        let waits = next(vec![seen(102, ran(0, "")), seen(102, ran(1, ""))]);
        assert!(matches!(waits, Turn::Wait { .. }));
        assert_eq!(scripts(next(vec![seen(104, ran(0, ""))])), ["./well"]);
        let waits = next(vec![seen(105, ran(1, ""))]);
        assert!(matches!(waits, Turn::Wait { .. }), "1 s of its 2");
        let last = next(vec![seen(106, ran(0, ""))]);
        assert!(matches!(last, Turn::Last(_)));
        assert_eq!(scripts(last), ["./z"]);
        assert_eq!(end(next(vec![seen(107, ran(0, ""))])), Outcome::Changed);
    }

    #[test]
    fn the_first_failure_ends_it() {
        let sequence = sequence();
        let replies = [
            seen(0, ran(0, "")),
            seen(0, ran(1, "")),
            seen(1, ran(9, "no")),
        ];
        let message = failure(sequence.turn(&facts(), &replies));
        assert!(message.starts_with("cannot start"), "{message}");
        let lost = [seen(0, Reply::Impossible("gone".into()))];
        assert_eq!(
            failure(sequence.turn(&facts(), &lost)),
            "`./a` failed: gone"
        );
    }
}
