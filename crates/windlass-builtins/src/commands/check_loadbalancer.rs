//! `check_loadbalancer`: asks HAProxy whether a server gets sessions.

use windlass_engine::command::{Command, CommandKind, Facts, InitContext, Repeat, Seen, Turn};
use windlass_model::diagnostic::Diagnostics;
use windlass_model::ids::HostName;
use windlass_model::outcome::Outcome;
use windlass_model::step::Level;

use super::haproxy::{LoadBalancer, LoadBalancerArgs};

/// The kind.
pub struct CheckLoadbalancer;

impl CommandKind for CheckLoadbalancer {
    type Args = LoadBalancerArgs;

    fn name(&self) -> &'static str {
        "check_loadbalancer"
    }

    fn about(&self) -> &'static str {
        "Asks once whether a server behind HAProxy is up; changes nothing and waits for nothing."
    }

    fn initialize(
        &self,
        args: LoadBalancerArgs,
        cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        Ok(Box::new(Look(LoadBalancer::new(args, cx)?)))
    }
}

/// The command.
#[derive(Debug)]
pub struct Look(pub LoadBalancer);

impl Command for Look {
    fn turn(&self, _facts: &Facts, seen: &[Seen]) -> Turn {
        let Some(answer) = seen.first() else {
            return Turn::Do(vec![self.0.look()]);
        };
        match self.0.read(&answer.reply) {
            Ok(state) if state.is_up() => Outcome::Unchanged,
            Ok(state) => Outcome::failed(format!("{} is {state}, not UP", self.0.service())),
            Err(why) => Outcome::failed(why),
        }
        .into()
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
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

    #[test]
    fn a_server_that_gets_sessions_is_up() {
        let args = json!({"lb_hostname": "local", "lb_service": "web/app1", "lb_port": 9999});
        let look = make(&CheckLoadbalancer, args).unwrap();
        let [Step::Dial(dial)] = &steps(look.turn(&facts(), &[]))[..] else {
            panic!("a dial");
        };
        assert_eq!(dial.send.to_string(), "show stat web 4 -1\n");
        let after = |status: &str| {
            let answer = format!(
                "# pxname,svname,qcur,scur,status,check_status,\nweb,app1,0,0,{status},L4CON,\n\n"
            );
            look.turn(&facts(), &[seen(0, Reply::Dialed { answer })])
        };
        for up in ["UP", "UP 1/2", "no check"] {
            assert_eq!(end(after(up)), Outcome::Unchanged);
        }
        assert_eq!(
            failure(after("DRAIN")),
            "web/app1 is `DRAIN` (its last check: L4CON), not UP"
        );
        let lost = seen(0, Reply::Impossible("connection refused".into()));
        assert!(failure(look.turn(&facts(), &[lost])).contains("connection refused"));
        assert!(!look.takes_out() && look.owes().opens.is_empty());
    }
}
