//! `enable_loadbalancer`: gives a server behind HAProxy sessions again and waits until it is up.

use std::time::Duration;

use windlass_engine::command::{
    Command, CommandKind, Facts, InitContext, Owes, Repeat, Seen, Turn,
};
use windlass_model::diagnostic::Diagnostics;
use windlass_model::ids::HostName;
use windlass_model::outcome::Outcome;
use windlass_model::step::Level;

use super::haproxy::{LoadBalancer, LoadBalancerArgs};

/// The kind.
pub struct EnableLoadbalancer;

impl CommandKind for EnableLoadbalancer {
    type Args = LoadBalancerArgs;

    fn name(&self) -> &'static str {
        "enable_loadbalancer"
    }

    fn about(&self) -> &'static str {
        "Ends the drain of a server behind HAProxy and waits until it is up; one without `check` is not waited for."
    }

    fn initialize(
        &self,
        args: LoadBalancerArgs,
        cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        Ok(Box::new(Enable(LoadBalancer::new(args, cx)?)))
    }
}

/// The command.
#[derive(Debug)]
pub struct Enable(pub LoadBalancer);

impl Command for Enable {
    fn turn(&self, _facts: &Facts, seen: &[Seen]) -> Turn {
        let Some((before, polls)) = seen.split_first() else {
            return Turn::Do(vec![self.0.look()]);
        };
        match self.0.read(&before.reply) {
            Err(why) => return Outcome::failed(why).into(),
            Ok(state) if state.is_up() => return Outcome::Unchanged.into(),
            Ok(_) => {}
        }
        let (Some(first), Some(last)) = (polls.first(), polls.last()) else {
            return Turn::Do(vec![self.0.set("ready")]);
        };
        let state = self.0.read(&last.reply);
        match &state {
            Ok(state) if state.is_ready() => return Outcome::Changed.into(),
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
            Ok(state) if state.is_up() => Outcome::Changed,
            Ok(state) => Outcome::failed(format!(
                "{} is {state} {} s after it was enabled, not UP",
                self.0.service(),
                self.0.timeout
            )),
            Err(why) => Outcome::failed(why),
        }
        .into()
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }

    fn owes(&self) -> Owes {
        self.0.closes()
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
    use windlass_model::step::{Reply, Step};

    use super::*;
    use crate::commands::trial::{end, facts, failure, make, seen, steps};

    fn stat(status: &str) -> Reply {
        let answer = format!(
            "# pxname,svname,qcur,scur,status,check_status,\nweb,app1,0,0,{status},L4CON,\n\n"
        );
        Reply::Dialed { answer }
    }

    fn enable() -> Box<dyn Command> {
        let args = json!({"lb_hostname": "local", "lb_service": "web/app1", "lb_port": 9999, "timeout": 3});
        make(&EnableLoadbalancer, args).unwrap()
    }

    fn after(replies: &[(u64, &str)]) -> Turn {
        let so_far: Vec<Seen> = replies.iter().map(|(at, s)| seen(*at, stat(s))).collect();
        enable().turn(&facts(), &so_far)
    }

    #[test]
    fn it_enables_and_waits_for_up() {
        assert_eq!(enable().owes().closes, ["drained web/app1"]);
        let [Step::Dial(dial)] = &steps(after(&[(0, "DRAIN")]))[..] else {
            panic!("a dial");
        };
        assert_eq!(
            dial.send.to_string(),
            "set server web/app1 state ready; show stat web 4 -1\n"
        );
        assert!(matches!(
            after(&[(0, "DRAIN"), (0, "DOWN")]),
            Turn::Wait { .. }
        ));
        assert!(matches!(
            after(&[(0, "MAINT"), (0, "UP 1/2")]),
            Turn::Wait { .. }
        ));
        for up in ["UP", "no check"] {
            assert_eq!(
                end(after(&[(0, "DRAIN"), (0, "DOWN"), (1, up)])),
                Outcome::Changed
            );
            assert_eq!(end(after(&[(0, up)])), Outcome::Unchanged);
        }
        assert_eq!(
            end(after(&[(0, "MAINT"), (0, "UP 1/2"), (3, "UP 1/2")])),
            Outcome::Changed
        );
    }

    #[test]
    fn a_server_that_stays_down_is_a_failure() {
        assert_eq!(
            failure(after(&[(0, "DRAIN"), (0, "DOWN"), (3, "DOWN 1/2")])),
            "web/app1 is `DOWN 1/2` (its last check: L4CON) 3 s after it was enabled, not UP"
        );
    }
}
