//! `send_graphite`: one metric, by carbon's plain-text protocol (`NAME VALUE TIME`, one a line).

use schemars::JsonSchema;
use serde::Deserialize;
use windlass_engine::command::{Command, CommandKind, Facts, InitContext, Repeat, Seen, Turn};
use windlass_model::Text;
use windlass_model::diagnostic::Diagnostics;
use windlass_model::step::{Dial, Endpoint, Reply, Step, Via};

use super::notice::{Delivery, after};
use super::shell_line::last_words;

/// The kind.
pub struct SendGraphite;

/// Arguments of `send_graphite`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// The host that carbon listens on, as seen from the task's host.
    pub carbon_host: String,
    /// The metric: words joined by dots.
    pub metric_name: String,
    /// Its value. Its time is that of the task's begin.
    #[serde(default = "one")]
    pub metric_value: f64,
    /// The port of carbon's plain-text protocol.
    #[serde(default = "port")]
    #[schemars(range(min = 1))]
    pub carbon_port: u16,
    /// Whether a metric that does not arrive is a warning (the task is skipped), or a failure.
    #[serde(default = "yes")]
    pub continue_on_fail: bool,
}

fn one() -> f64 {
    1.0
}

fn port() -> u16 {
    2003
}

fn yes() -> bool {
    true
}

impl CommandKind for SendGraphite {
    type Args = Args;

    fn name(&self) -> &'static str {
        "send_graphite"
    }

    fn about(&self) -> &'static str {
        "Sends a metric to Graphite's carbon."
    }

    fn initialize(
        &self,
        args: Args,
        cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        let mut wrong = Diagnostics::new();
        let name = &args.metric_name;
        if name.is_empty()
            || !name.chars().all(|c| c.is_ascii_graphic())
            || name.split('.').any(str::is_empty)
        {
            wrong.push(
                cx.wrong("metric_name", format!("{name:?} is no name of a metric"))
                    .hint("words joined by dots, without blanks: `deploy.shop.start`"),
            );
        }
        if args.carbon_host.is_empty() || !args.carbon_host.chars().all(|c| c.is_ascii_graphic()) {
            wrong.push(cx.wrong("carbon_host", "`carbon_host` is no name of a host"));
        }
        if args.carbon_port == 0 {
            wrong.push(cx.wrong("carbon_port", "`carbon_port` is 1 to 65535"));
        }
        if !args.metric_value.is_finite() {
            wrong.push(cx.wrong("metric_value", "`metric_value` is no number"));
        }
        wrong.or(Box::new(Metric(args)) as Box<dyn Command>)
    }
}

#[derive(Debug)]
struct Metric(Args);

impl Command for Metric {
    fn turn(&self, facts: &Facts, seen: &[Seen]) -> Turn {
        let Args {
            carbon_host,
            metric_name,
            metric_value,
            carbon_port,
            continue_on_fail,
        } = &self.0;
        let Some(first) = seen.first() else {
            return Turn::Do(vec![Step::Dial(Dial {
                via: Via::Task,
                to: Endpoint::Tcp(carbon_host.clone(), *carbon_port),
                send: Text::plain(format!("{metric_name} {metric_value} {}\n", facts.now)),
                answer: false,
                time_limit: 10,
            })]);
        };
        let delivery = match &first.reply {
            Reply::Dialed { .. } => Delivery::Arrived,
            other => Delivery::Lost(format!(
                "cannot send `{metric_name}` to carbon at {carbon_host}:{carbon_port}: {}",
                last_words(other)
            )),
        };
        after(delivery, *continue_on_fail, seen.len() > 1)
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use windlass_model::outcome::Outcome;

    use super::*;
    use crate::commands::trial::{end, errors, facts, failure, make, seen, steps};

    fn refused() -> Seen {
        seen(0, Reply::Impossible("connection refused".into()))
    }

    #[test]
    fn a_metric_is_one_line() {
        let args = json!({"carbon_host": "g1", "metric_name": "deploy.start"});
        let command = make(&SendGraphite, args).unwrap();
        let [Step::Dial(dial)] = &steps(command.turn(&facts(), &[]))[..] else {
            panic!("one dial");
        };
        assert_eq!(dial.send.to_string(), "deploy.start 1 1400000000\n");
        assert_eq!(dial.to.to_string(), "g1:2003");
        let sent = Reply::Dialed {
            answer: String::new(),
        };
        assert_eq!(
            end(command.turn(&facts(), &[seen(0, sent)])),
            Outcome::Changed
        );
        assert!(matches!(
            command.turn(&facts(), &[refused()]),
            Turn::Last(_)
        ));
        let skipped = end(command.turn(&facts(), &[refused(), seen(0, Reply::Logged)]));
        assert!(matches!(skipped, Outcome::Skipped(_)));
    }

    #[test]
    fn it_may_have_to_arrive() {
        let args = json!({"carbon_host": "g1", "metric_name": "a", "metric_value": 2.5, "continue_on_fail": false});
        let command = make(&SendGraphite, args).unwrap();
        assert_eq!(
            failure(command.turn(&facts(), &[refused()])),
            "cannot send `a` to carbon at g1:2003: connection refused"
        );
    }

    #[test]
    fn names_are_checked() {
        for name in ["", "a b", "a\nb 1 2", "a..b", ".a"] {
            let said = errors(
                &SendGraphite,
                json!({"carbon_host": "g", "metric_name": name}),
            );
            assert!(said.contains("no name of a metric"), "{name:?}: {said}");
        }
    }
}
