//! `check_service`: asks again and again until a service answers as it should.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use windlass_engine::command::{Command, CommandKind, Facts, InitContext, Repeat, Seen, Turn};
use windlass_model::Text;
use windlass_model::diagnostic::Diagnostics;
use windlass_model::outcome::Outcome;
use windlass_model::step::{Http, Reply, Run, Step, Via, Want};

use super::http_notify::check_url;
use super::shell_line::{last_words, shown};

/// The kind.
pub struct CheckService;

/// Arguments of `check_service`: exactly one of `check_command` and `url`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// A shell line that ends with `want_state` when the service is well.
    pub check_command: Option<String>,
    /// A URL (`http://` or `https://`) that is asked by GET from the task's host. Redirections are not followed.
    pub url: Option<Text>,
    /// The status code that the URL is to answer with; 200 if absent.
    pub want_status: Option<u16>,
    /// A text that the body is to hold, within its first 64 KiB.
    pub want_text: Option<String>,
    /// The exit status that the line is to end with, 0 to 255; 0 if absent.
    pub want_state: Option<u8>,
    /// Seconds after which a check that has not passed is a failure; 0 asks once.
    #[serde(default = "sixty")]
    pub timeout: u32,
    /// Seconds between two tries.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub interval: u32,
    /// Seconds after which it is said, again and again, that it is still being waited for; 0 for never.
    #[serde(default = "thirty")]
    pub notify_interval: u32,
}

fn sixty() -> u32 {
    60
}

fn one() -> u32 {
    1
}

fn thirty() -> u32 {
    30
}

impl CommandKind for CheckService {
    type Args = Args;

    fn name(&self) -> &'static str {
        "check_service"
    }

    fn about(&self) -> &'static str {
        "Waits until a command ends, or a URL answers, as it should."
    }

    fn initialize(
        &self,
        args: Args,
        cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        Ok(Box::new(Check::new(args, cx)?))
    }
}

impl Args {
    /// Those of a check by a shell line; the rest as when left out.
    pub fn of_line(line: String, timeout: u32) -> Self {
        Self {
            check_command: Some(line),
            url: None,
            want_status: None,
            want_text: None,
            want_state: None,
            timeout,
            interval: one(),
            notify_interval: thirty(),
        }
    }
}

/// What is asked.
#[derive(Clone, Debug)]
enum Question {
    Line {
        line: String,
        want: u8,
    },
    Url {
        url: Text,
        want: u16,
        text: Option<String>,
    },
}

/// The command.
#[derive(Clone, Debug)]
pub struct Check {
    question: Question,
    timeout: Duration,
    interval: Duration,
    notify_interval: Duration,
}

impl Check {
    /// Checks the arguments.
    pub fn new(args: Args, cx: &InitContext<'_>) -> Result<Self, Diagnostics> {
        let mut wrong = Diagnostics::new();
        let mut only_with = |key: &str, given: bool, with: &str| {
            if given {
                wrong.push(cx.wrong(key, format!("`{key}` is only for a check by `{with}`")));
            }
        };
        let question = match (args.check_command, args.url) {
            (Some(line), None) => {
                only_with("want_status", args.want_status.is_some(), "url");
                only_with("want_text", args.want_text.is_some(), "url");
                if line.trim().is_empty() {
                    wrong.push(cx.wrong("check_command", "`check_command` is empty"));
                }
                let want = args.want_state.unwrap_or(0);
                Some(Question::Line { line, want })
            }
            (None, Some(url)) => {
                only_with("want_state", args.want_state.is_some(), "check_command");
                if let Err(message) = check_url(&url) {
                    wrong.push(cx.wrong("url", message));
                }
                Some(Question::Url {
                    url,
                    want: args.want_status.unwrap_or(200),
                    text: args.want_text,
                })
            }
            (None, None) => {
                let message = "one of `check_command` and `url` is needed";
                wrong.push(cx.wrong("check_command", message));
                None
            }
            (Some(_), Some(_)) => {
                for key in ["check_command", "url"] {
                    let message = "`check_command` and `url` are both given";
                    wrong.push(cx.wrong(key, message).hint("leave one of the two out"));
                }
                None
            }
        };
        if args.interval == 0 {
            wrong.push(cx.wrong("interval", "`interval` is at least 1 second"));
        }
        let seconds = |n: u32| Duration::from_secs(n.into());
        match question {
            Some(question) => wrong.or(Self {
                question,
                timeout: seconds(args.timeout),
                interval: seconds(args.interval),
                notify_interval: seconds(args.notify_interval),
            }),
            None => Err(wrong),
        }
    }

    /// One try, `so_far` after the first. A server that is silent is asked again within the time-out.
    fn step(&self, facts: &Facts, so_far: Duration) -> Step {
        const LONGEST_TRY: u64 = 30;
        match &self.question {
            Question::Line { line, .. } => Step::Run(Run {
                script: line.clone(),
                user: facts.user.clone(),
                want: Want::Any,
                ..Run::default()
            }),
            Question::Url { url, .. } => {
                let left = self.timeout.saturating_sub(so_far).as_secs();
                Step::Http(Http {
                    via: Via::Task,
                    method: "GET".into(),
                    url: url.clone(),
                    headers: Vec::new(),
                    body: None,
                    proxy: None,
                    time_limit: left.clamp(1, LONGEST_TRY) as u32,
                })
            }
        }
    }

    fn passes(&self, reply: &Reply) -> bool {
        match (&self.question, reply) {
            (Question::Line { want, .. }, Reply::Ran { status, .. }) => *status == i32::from(*want),
            (Question::Url { want, text, .. }, Reply::Http { status, body }) => {
                status == want && text.as_ref().is_none_or(|text| body.contains(text))
            }
            _ => false,
        }
    }

    fn shown(&self) -> String {
        match &self.question {
            Question::Line { line, .. } => shown(line),
            Question::Url { url, .. } => url.to_string(),
        }
    }

    fn last(&self, reply: &Reply) -> String {
        match (&self.question, reply) {
            (Question::Url { want, text, .. }, Reply::Http { status, body }) => {
                let body = shown(body);
                match text {
                    Some(text) if status == want => {
                        format!("last: status {status}, no `{text}` in the body `{body}`")
                    }
                    _ => format!("last: status {status}, body `{body}`"),
                }
            }
            _ => format!("last: {}", last_words(reply)),
        }
    }

    /// Said once in each span of `notify_interval`.
    fn say(&self, before: Duration, last: &Seen) -> Option<String> {
        let spans = |at: Duration| at.as_millis().checked_div(self.notify_interval.as_millis());
        if spans(last.at)? <= spans(before)? {
            return None;
        }
        Some(format!(
            "check `{}` has not passed for {} s; {}",
            self.shown(),
            last.at.as_secs(),
            self.last(&last.reply)
        ))
    }
}

impl Command for Check {
    fn turn(&self, facts: &Facts, seen: &[Seen]) -> Turn {
        let Some((last, before)) = seen.split_last() else {
            return Turn::Do(vec![self.step(facts, Duration::ZERO)]);
        };
        if self.passes(&last.reply) {
            return Outcome::Unchanged.into();
        }
        if last.at >= self.timeout {
            return Outcome::failed(format!(
                "check `{}` did not pass within {} s: {}",
                self.shown(),
                self.timeout.as_secs(),
                self.last(&last.reply)
            ))
            .into();
        }
        let before = before.last().map_or(Duration::ZERO, |seen| seen.at);
        Turn::Wait {
            delay: self.interval,
            steps: vec![self.step(facts, last.at)],
            say: self.say(before, last),
        }
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::commands::trial::{end, errors, facts, failure, make, ran, seen, steps};

    fn answered(status: u16, body: &str) -> Reply {
        Reply::Http {
            status,
            body: body.into(),
        }
    }

    #[test]
    fn a_check_that_passes_at_once_is_one_step() {
        let command = make(&CheckService, json!({"url": "http://127.0.0.1:1/"})).unwrap();
        let turn = command.turn(&facts(), &[]);
        assert!(matches!(turn, Turn::Do(_)));
        assert!(matches!(&steps(turn)[..], [Step::Http(http)] if http.method == "GET"));
        let passed = command.turn(&facts(), &[seen(0, answered(200, "x"))]);
        assert_eq!(end(passed), Outcome::Unchanged);
    }

    #[test]
    fn a_url_is_judged_by_status_and_text() {
        let args =
            json!({"url": "http://a/", "want_text": "ready", "want_status": 203, "timeout": 4});
        let command = make(&CheckService, args).unwrap();
        let turn = |at, reply| command.turn(&facts(), &[seen(at, reply)]);
        assert_eq!(end(turn(0, answered(203, "is ready."))), Outcome::Unchanged);
        assert!(matches!(turn(3, answered(200, "ready")), Turn::Wait { .. }));
        assert_eq!(
            failure(turn(4, answered(203, "starting\nup"))),
            "check `http://a/` did not pass within 4 s: last: status 203, no `ready` in the body `starting ...`"
        );
        assert_eq!(
            failure(turn(4, answered(500, "boom"))),
            "check `http://a/` did not pass within 4 s: last: status 500, body `boom`"
        );
        assert_eq!(
            failure(turn(5, Reply::Impossible("connection refused".into()))),
            "check `http://a/` did not pass within 4 s: last: connection refused"
        );
    }

    #[test]
    fn it_says_now_and_then_that_it_waits() {
        let args =
            json!({"check_command": "./ok", "timeout": 100, "interval": 7, "notify_interval": 10});
        let command = make(&CheckService, args).unwrap();
        let mut so_far = Vec::new();
        let mut said = Vec::new();
        for at in [0, 7, 14, 21, 28, 35] {
            so_far.push(seen(at, ran(1, "not yet")));
            let Turn::Wait { delay, say, .. } = command.turn(&facts(), &so_far) else {
                panic!("it waits");
            };
            assert_eq!(delay, Duration::from_secs(7));
            said.extend(say);
        }
        assert_eq!(said.len(), 3, "{said:?}");
        assert_eq!(
            said[0],
            "check `./ok` has not passed for 14 s; last: not yet (exit status 1)"
        );
    }

    #[test]
    fn one_question_is_asked() {
        for (args, text) in [
            (json!({}), "one of `check_command` and `url`"),
            (json!({"check_command": "a", "url": "http://b"}), "].url"),
            (
                json!({"check_command": "a", "want_text": "x"}),
                "only for a check by `url`",
            ),
            (json!({"url": "ftp://b"}), "ftp://b"),
            (json!({"check_command": "a", "interval": 0}), "at least 1"),
        ] {
            let said = errors(&CheckService, args);
            assert!(said.contains(text), "{said}");
        }
    }
}
