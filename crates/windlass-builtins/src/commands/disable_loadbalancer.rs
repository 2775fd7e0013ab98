//! `disable_loadbalancer`: drains a server behind HAProxy and waits until it has no sessions.

use std::time::Duration;

use windlass_engine::command::{
    Command, CommandKind, Facts, InitContext, Owes, Repeat, Seen, Turn,
};
use windlass_model::Text;
use windlass_model::diagnostic::Diagnostics;
use windlass_model::ids::HostName;
use windlass_model::outcome::Outcome;
use windlass_model::step::{Level, Reply, Say, Step};

use super::haproxy::{LoadBalancer, LoadBalancerArgs};

/// The kind.
pub struct DisableLoadbalancer;

impl CommandKind for DisableLoadbalancer {
    type Args = LoadBalancerArgs;

    fn name(&self) -> &'static str {
        "disable_loadbalancer"
    }

    fn about(&self) -> &'static str {
        "Drains a server behind HAProxy and waits until it has no sessions; after `timeout` it goes on with a warning."
    }

    fn initialize(
        &self,
        args: LoadBalancerArgs,
        cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        Ok(Box::new(Drain(LoadBalancer::new(args, cx)?)))
    }
}

/// The command.
#[derive(Debug)]
pub struct Drain(pub LoadBalancer);

impl Drain {
    /// After the drain was asked for: `polls` begin with its own answer.
    fn wait(&self, polls: &[Seen], changed: bool) -> Turn {
        let (Some(first), Some(last)) = (polls.first(), polls.last()) else {
            return Turn::Do(vec![self.0.look()]);
        };
        let done = || {
            Turn::from(if changed {
                Outcome::Changed
            } else {
                Outcome::Unchanged
            })
        };
        if matches!(last.reply, Reply::Logged) {
            return Outcome::Changed.into();
        }
        let state = self.0.read(&last.reply);
        match &state {
            Ok(state) if state.sessions == 0 => return done(),
            Err(why) if polls.len() == 1 => return Outcome::failed(why.clone()).into(),
            _ => {}
        }
        let waited = last.at.saturating_sub(first.at);
        if waited < Duration::from_secs(self.0.timeout.into()) {
            return Turn::Wait {
                delay: Duration::from_secs(1),
                steps: vec![self.0.look()],
                say: None,
            };
        }
        match state {
            Ok(state) => Turn::Last(vec![Step::Log(Say {
                level: Level::Warning,
                message: Text::plain(format!(
                    "{} still has {} sessions after {} s of draining; going on",
                    self.0.service(),
                    state.sessions,
                    self.0.timeout
                )),
            })]),
            Err(why) => Outcome::failed(why).into(),
        }
    }
}

impl Command for Drain {
    fn turn(&self, _facts: &Facts, seen: &[Seen]) -> Turn {
        let Some((first, rest)) = seen.split_first() else {
            return Turn::Do(vec![self.0.look()]);
        };
        match self.0.read(&first.reply) {
            Err(why) => Outcome::failed(why).into(),
            // Maintenance is not turned into a drain.
            Ok(state) if state.is_set_aside() => self.wait(seen, false),
            Ok(_) if rest.is_empty() => Turn::Do(vec![self.0.set("drain")]),
            Ok(_) => self.wait(rest, true),
        }
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }

    fn takes_out(&self) -> bool {
        true
    }

    fn owes(&self) -> Owes {
        self.0.opens()
    }

    fn other_hosts(&self) -> Vec<HostName> {
        self.0.other_hosts()
    }

    fn said(&self) -> Vec<(Level, String)> {
        self.0.said()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::commands::trial::{end, facts, failure, make, seen, steps};

    fn stat(status: &str, scur: u32) -> Reply {
        let answer = format!(
            "# pxname,svname,qcur,scur,status,check_status,\nweb,app1,0,{scur},{status},,\n\n"
        );
        Reply::Dialed { answer }
    }

    fn sent(turn: Turn) -> String {
        match &steps(turn)[..] {
            [Step::Dial(dial)] => dial.send.to_string(),
            other => panic!("{other:?}"),
        }
    }

    fn drain() -> Box<dyn Command> {
        let args = json!({"lb_hostname": "lb1", "lb_service": "web/app1", "lb_socket": "/run/h.sock", "timeout": 3});
        make(&DisableLoadbalancer, args).unwrap()
    }

    #[test]
    fn it_drains_and_waits() {
        let command = drain();
        assert_eq!(command.owes().opens, ["drained web/app1"]);
        let turn = |seen: &[Seen]| command.turn(&facts(), seen);
        assert_eq!(sent(turn(&[])), "show stat web 4 -1\n");
        let mut so_far = vec![seen(0, stat("UP", 4))];
        assert_eq!(
            sent(turn(&so_far)),
            "set server web/app1 state drain; show stat web 4 -1\n"
        );
        so_far.push(seen(0, stat("DRAIN", 4)));
        assert!(matches!(turn(&so_far), Turn::Wait { .. }));
        so_far.push(seen(1, stat("DRAIN", 0)));
        assert_eq!(end(turn(&so_far)), Outcome::Changed);
    }

    #[test]
    fn a_drain_that_does_not_empty_goes_on_with_a_warning() {
        let command = drain();
        let mut so_far = vec![
            seen(0, stat("UP", 4)),
            seen(1, stat("DRAIN", 4)),
            seen(4, stat("DRAIN", 2)),
        ];
        let turn = command.turn(&facts(), &so_far);
        let [Step::Log(say)] = &steps(turn)[..] else {
            panic!("a line");
        };
        assert_eq!(
            say.message.to_string(),
            "web/app1 still has 2 sessions after 3 s of draining; going on"
        );
        so_far.push(seen(4, Reply::Logged));
        assert_eq!(end(command.turn(&facts(), &so_far)), Outcome::Changed);
    }

    #[test]
    fn what_is_set_aside_and_empty_is_left_alone() {
        for status in ["DRAIN", "MAINT", "MAINT (via web/app2)"] {
            let turn = drain().turn(&facts(), &[seen(0, stat(status, 0))]);
            assert_eq!(end(turn), Outcome::Unchanged);
            let so_far = [seen(0, stat(status, 1))];
            let wait = drain().turn(&facts(), &so_far);
            assert!(sent(wait).starts_with("show stat"));
        }
    }

    #[test]
    fn a_lost_socket_is_a_failure_at_first_and_asked_again_later() {
        let lost = || Reply::Impossible("connection refused".into());
        assert_eq!(
            failure(drain().turn(&facts(), &[seen(0, lost())])),
            "cannot talk to HAProxy at /run/h.sock on lb1: connection refused"
        );
        let mut so_far = vec![
            seen(0, stat("UP", 4)),
            seen(0, stat("DRAIN", 4)),
            seen(1, lost()),
        ];
        assert!(matches!(drain().turn(&facts(), &so_far), Turn::Wait { .. }));
        so_far.push(seen(9, lost()));
        failure(drain().turn(&facts(), &so_far));
    }
}
