//! A service started, stopped, restarted or reloaded; then the wait for the wanted state.

use std::time::Duration;

use windlass_engine::command::{Command, Facts, InitContext, Repeat, Seen, Turn};
use windlass_model::Text;
use windlass_model::diagnostic::Diagnostics;
use windlass_model::outcome::Outcome;
use windlass_model::step::{Reply, Run, SKIPPED, Step, UNCHANGED, Want};

use super::args::AbsolutePath;
use super::control::{Action, ControlType, Supervised};
use super::scripted::failure_of;
use super::shell_line::{OnlyIf, ShellLine, last_words, shown};

/// What the commands about services are given, whatever their action.
#[derive(Debug, Default)]
pub struct Request {
    /// `servicename`.
    pub servicename: Option<String>,
    /// `control_type`.
    pub control_type: Option<ControlType>,
    /// The shell line that does it, where one is given.
    pub line: Option<String>,
    /// The argument that holds the shell line.
    pub line_key: &'static str,
    /// Set for the shell line.
    pub env: Vec<(String, Text)>,
    /// The shell line that ends with 0 while the service runs.
    pub check_command: Option<String>,
    /// The shell line is run only when this is there.
    pub if_exists: Option<AbsolutePath>,
    /// Seconds to wait for the wanted state.
    pub timeout: u32,
}

impl Request {
    /// Checks the arguments and makes the command.
    pub fn command(
        self,
        action: Action,
        cx: &InitContext<'_>,
    ) -> Result<ServiceAction, Diagnostics> {
        let mut wrong = Diagnostics::new();
        for (key, line) in [
            (self.line_key, &self.line),
            ("check_command", &self.check_command),
        ] {
            if line.as_ref().is_some_and(|line| line.trim().is_empty()) {
                wrong.push(cx.wrong(key, format!("`{key}` is empty")));
            }
        }
        let work = self.work(cx, &mut wrong);
        let what = match (&self.servicename, &self.line) {
            (Some(name), _) => format!("`{name}`"),
            (None, Some(line)) => format!("the service (`{}`)", shown(line)),
            (None, None) => "the service".to_owned(),
        };
        let made = work.map(|work| ServiceAction {
            action,
            what,
            work,
            env: self.env,
            check: self.check_command,
            if_exists: self.if_exists,
            timeout: self.timeout,
        });
        match made {
            Some(made) => wrong.or(made),
            None => Err(wrong),
        }
    }

    fn work(&self, cx: &InitContext<'_>, wrong: &mut Diagnostics) -> Option<Work> {
        let key = self.line_key;
        match (self.control_type, &self.servicename, &self.line) {
            (None | Some(ControlType::Command), _, Some(line)) => Some(Work::Line(line.clone())),
            (Some(ControlType::Command), _, None) => {
                wrong.push(cx.wrong(
                    key,
                    format!("`control_type: command` needs a `{key}`, which is missing"),
                ));
                None
            }
            (Some(_), _, Some(_)) => {
                wrong.push(
                    cx.wrong(key, format!("`{key}` is only for `control_type: command`"))
                        .hint("leave one of the two out"),
                );
                None
            }
            (Some(_), None, None) => {
                wrong.push(cx.wrong("servicename", "`servicename` is missing"));
                None
            }
            (Some(control_type), Some(name), None) => match Supervised::new(control_type, name) {
                Ok(supervised) => supervised.map(Work::Supervised),
                Err(message) => {
                    wrong.push(cx.wrong("servicename", message));
                    None
                }
            },
            (None, name, None) => {
                let missing = match name {
                    Some(_) => "control_type",
                    None => "servicename",
                };
                wrong.push(
                    cx.wrong(missing, format!("`{missing}` is missing"))
                        .hint(format!(
                            "give `servicename` and `control_type` (systemd, runit or daemontools), or `{key}`"
                        )),
                );
                None
            }
        }
    }
}

/// Who does it.
#[derive(Clone, Debug)]
enum Work {
    /// A supervisor, which knows its state.
    Supervised(Supervised),
    /// A shell line, whose exit status is believed.
    Line(String),
}

/// The command.
#[derive(Clone, Debug)]
pub struct ServiceAction {
    action: Action,
    /// The service, for messages.
    what: String,
    work: Work,
    env: Vec<(String, Text)>,
    check: Option<String>,
    if_exists: Option<AbsolutePath>,
    timeout: u32,
}

impl ServiceAction {
    fn work_step(&self, facts: &Facts) -> Step {
        let (script, want) = match &self.work {
            Work::Supervised(service) => (service.script(self.action, self.timeout), Want::Ours),
            Work::Line(line) => {
                let line = ShellLine {
                    env: self.env.clone(),
                    only_if: self.if_exists.clone().map(OnlyIf::Exists),
                    ..ShellLine::new(line.clone())
                };
                return line.step(&facts.user);
            }
        };
        Step::Run(Run {
            script,
            env: self.env.clone(),
            cwd: None,
            user: facts.user.clone(),
            want,
        })
    }

    fn check_step(&self, facts: &Facts) -> Option<Step> {
        let line = self.check.as_ref()?;
        Some(Step::Run(Run {
            script: line.clone(),
            user: facts.user.clone(),
            want: Want::Any,
            ..Run::default()
        }))
    }

    /// Whether the reply to the check is the one that is waited for.
    fn reached(&self, reply: &Reply) -> bool {
        let runs = matches!(reply, Reply::Ran { status: 0, .. });
        runs == (self.action != Action::Stop)
    }

    /// A shell line cannot tell that there is nothing to do; the check can.
    fn looks_first(&self) -> bool {
        matches!(self.work, Work::Line(_)) && matches!(self.action, Action::Start | Action::Stop)
    }

    fn outcome(&self, worked: &Reply) -> Outcome {
        match worked {
            Reply::Ran {
                status: UNCHANGED, ..
            } if matches!(self.work, Work::Supervised(_)) => Outcome::Unchanged,
            Reply::Ran {
                status: SKIPPED, ..
            } if self.if_exists.is_some() => Outcome::Unchanged,
            _ if self.action == Action::Status => Outcome::Unchanged,
            _ => Outcome::Changed,
        }
    }

    fn failing(&self) -> String {
        match self.action {
            Action::Status => format!("cannot tell the state of {}", self.what),
            action => format!("cannot {} {}", action.verb(), self.what),
        }
    }

    fn not_reached(&self, last: &Reply) -> Outcome {
        let check = shown(self.check.as_deref().unwrap_or_default());
        let (verb, what, timeout) = (self.action.verb(), &self.what, self.timeout);
        let last = last_words(last);
        let passing = match self.action {
            Action::Stop => "still passes",
            _ => "does not pass",
        };
        Outcome::failed(format!(
            "{what}: check `{check}` {passing} {timeout} s after the {verb}; last: {last}"
        ))
    }
}

impl Command for ServiceAction {
    fn turn(&self, facts: &Facts, seen: &[Seen]) -> Turn {
        let work = self.work_step(facts);
        let Some(check) = self.check_step(facts) else {
            return match seen.first() {
                None => Turn::Last(vec![work]),
                Some(seen) if seen.reply.is_wanted(&work) => self.outcome(&seen.reply).into(),
                Some(seen) => Outcome::from(failure_of(&seen.reply, &self.failing())).into(),
            };
        };
        let mut seen = seen;
        if self.looks_first() {
            match seen.split_first() {
                None => return Turn::Do(vec![check]),
                Some((first, _)) if self.reached(&first.reply) => {
                    return Outcome::Unchanged.into();
                }
                Some((_, rest)) => seen = rest,
            }
        }
        let Some((worked, polls)) = seen.split_first() else {
            return Turn::Do(vec![work, check]);
        };
        if !worked.reply.is_wanted(&work) {
            return Outcome::from(failure_of(&worked.reply, &self.failing())).into();
        }
        match polls.last() {
            None => Turn::Do(vec![check]),
            Some(last) if self.reached(&last.reply) => self.outcome(&worked.reply).into(),
            Some(last) => {
                let waited = last.at.saturating_sub(worked.at);
                if waited >= Duration::from_secs(self.timeout.into()) {
                    return self.not_reached(&last.reply).into();
                }
                Turn::Wait {
                    delay: Duration::from_secs(1),
                    steps: vec![check],
                    say: None,
                }
            }
        }
    }

    fn takes_out(&self) -> bool {
        matches!(self.action, Action::Stop | Action::Restart)
    }

    fn repeat(&self) -> Repeat {
        match &self.work {
            Work::Supervised(_) => Repeat::Safe,
            Work::Line(_) if self.action == Action::Status => Repeat::Safe,
            Work::Line(_) if self.looks_first() && self.check.is_some() => Repeat::Safe,
            Work::Line(_) => Repeat::Ask,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::commands::start_service::StartService;
    use crate::commands::stop_service::StopService;
    use crate::commands::trial::{end, errors, facts, failure, make, ran, seen, steps};

    fn script(step: &Step) -> &str {
        match step {
            Step::Run(run) => &run.script,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_supervised_service_is_one_last_step() {
        let args = json!({"servicename": "shop", "control_type": "runit"});
        let command = make(&StartService, args).unwrap();
        let turn = command.turn(&facts(), &[]);
        assert!(matches!(turn, Turn::Last(_)));
        assert!(script(&steps(turn)[0]).contains("sv -w 60 start"));
        assert_eq!(command.repeat(), Repeat::Safe);
        let ended = |status| command.turn(&facts(), &[seen(1, ran(status, "timeout: down"))]);
        assert_eq!(end(ended(0)), Outcome::Changed);
        assert_eq!(end(ended(80)), Outcome::Unchanged);
        assert_eq!(
            failure(ended(1)),
            "cannot start `shop`: timeout: down (exit status 1)"
        );
    }

    #[test]
    fn a_line_without_a_check_is_believed() {
        let command = make(&StartService, json!({"start_command": "./up"})).unwrap();
        assert_eq!(command.repeat(), Repeat::Ask);
        assert_eq!(script(&steps(command.turn(&facts(), &[]))[0]), "./up");
        let ended = |status| command.turn(&facts(), &[seen(1, ran(status, ""))]);
        assert_eq!(end(ended(0)), Outcome::Changed);
        assert_eq!(
            failure(ended(80)),
            "cannot start the service (`./up`): exit status 80"
        );
    }

    #[test]
    fn what_was_never_deployed_need_not_be_stopped() {
        let args = json!({"stop_command": "./down", "if_exists": "/opt/webapps/shop"});
        let command = make(&StopService, args).unwrap();
        let turn = command.turn(&facts(), &[]);
        assert!(script(&steps(turn)[0]).contains("[ -e /opt/webapps/shop ]"));
        let ended = |status| command.turn(&facts(), &[seen(1, ran(status, "boom"))]);
        assert_eq!(end(ended(81)), Outcome::Unchanged);
        assert_eq!(end(ended(0)), Outcome::Changed);
        assert!(failure(ended(1)).contains("boom"));
    }

    #[test]
    fn a_check_is_asked_first_and_then_waited_for() {
        let args = json!({"start_command": "./up", "check_command": "./ok", "timeout": 5});
        let command = make(&StartService, args).unwrap();
        assert_eq!(command.repeat(), Repeat::Safe);
        let turn = |seen: &[Seen]| command.turn(&facts(), seen);
        let first = steps(turn(&[]));
        assert_eq!((first.len(), script(&first[0])), (1, "./ok"));
        assert_eq!(end(turn(&[seen(0, ran(0, ""))])), Outcome::Unchanged);
        let second = steps(turn(&[seen(0, ran(1, ""))]));
        assert_eq!(
            second.iter().map(script).collect::<Vec<_>>(),
            ["./up", "./ok"]
        );
        let mut so_far = vec![
            seen(0, ran(1, "")),
            seen(2, ran(0, "")),
            seen(2, ran(1, "")),
        ];
        assert!(
            matches!(turn(&so_far), Turn::Wait { delay, .. } if delay == Duration::from_secs(1))
        );
        so_far.push(seen(6, ran(7, "refused")));
        assert!(matches!(turn(&so_far), Turn::Wait { .. }));
        so_far.push(seen(7, ran(7, "refused")));
        assert_eq!(
            failure(turn(&so_far)),
            "the service (`./up`): check `./ok` does not pass 5 s after the start; last: refused (exit status 7)"
        );
        so_far.push(seen(7, ran(0, "")));
        assert_eq!(end(turn(&so_far)), Outcome::Changed);
    }

    #[test]
    fn a_stop_waits_until_the_check_fails() {
        let args = json!({"stop_command": "./down", "check_command": "./ok"});
        let command = make(&StopService, args).unwrap();
        let turn = |seen: &[Seen]| command.turn(&facts(), seen);
        assert_eq!(end(turn(&[seen(0, ran(1, ""))])), Outcome::Unchanged);
        let so_far = [
            seen(0, ran(0, "")),
            seen(2, ran(0, "")),
            seen(2, ran(0, "")),
        ];
        assert!(matches!(turn(&so_far), Turn::Wait { .. }));
    }

    #[test]
    fn what_is_missing_is_named() {
        for (args, text) in [
            (json!({}), "`servicename` is missing"),
            (json!({"servicename": "x"}), "`control_type` is missing"),
            (json!({"control_type": "runit"}), "`servicename` is missing"),
            (
                json!({"control_type": "command"}),
                "needs a `start_command`",
            ),
            (
                json!({"servicename": "x", "control_type": "runit", "start_command": "y"}),
                "only for `control_type: command`",
            ),
            (
                json!({"servicename": "a b", "control_type": "systemd"}),
                "no name of a systemd unit",
            ),
            (
                json!({"start_command": "", "check_command": " "}),
                "`check_command` is empty",
            ),
        ] {
            let said = errors(&StartService, args);
            assert!(said.contains(text), "{said}");
        }
    }
}
