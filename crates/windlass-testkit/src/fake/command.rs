//! Command `fake`: turns as its arguments say them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use windlass_engine::command::{
    Command, CommandKind, Facts, Hands, InitContext, Owes, PluginCall, Repeat, Seen, Turn,
};
use windlass_engine::registry::Registry;
use windlass_model::diagnostic::Diagnostics;
use windlass_model::outcome::{Failure, FailureKind, Outcome};
use windlass_model::step::{Dial, Endpoint, Level, Reply, Run, SKIPPED, Say, Step, UNCHANGED, Via};

/// Registers `fake`.
pub fn register(registry: &mut Registry) {
    registry.command(FakeKind);
}

/// The kind of command that does what it is told.
pub struct FakeKind;

/// The arguments of `fake`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FakeArgs {
    /// In order; then it ends. A reply that is not wanted ends it as failed.
    #[serde(default)]
    turns: Vec<FakeTurn>,
    /// `safe`, `check` or `ask`.
    #[serde(default)]
    repeat: Option<FakeRepeat>,
    /// A program that finds out whether it was done.
    #[serde(default)]
    check: Option<String>,
    /// Keys that it opens.
    #[serde(default)]
    opens: Vec<String>,
    /// Keys that it closes.
    #[serde(default)]
    closes: Vec<String>,
    /// Whether it takes a service of its host out.
    #[serde(default)]
    takes_out: bool,
    /// How it ends when every reply was wanted; `changed` if absent.
    #[serde(default)]
    ends: Option<String>,
    /// Whether it takes a reply that is not wanted for good, after its last turn.
    #[serde(default)]
    tolerates: bool,
    /// Why initialize says no.
    #[serde(default)]
    refuses: Option<String>,
    /// With what message initialize panics.
    #[serde(default)]
    panics: Option<String>,
    /// What initialize logs.
    #[serde(default)]
    says: Option<String>,
}

/// Whether it may be done again.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum FakeRepeat {
    Safe,
    Check,
    Ask,
}

/// One turn.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct FakeTurn {
    /// Programs to run.
    run: Vec<String>,
    /// Whether this is the last turn.
    last: bool,
    /// Seconds to wait before.
    wait: Option<u32>,
    /// A socket to dial after the programs, `host:port`.
    dial: Option<String>,
    /// A message to log after them.
    log: Option<String>,
    /// Whether a plugin is called, which runs the programs.
    call: bool,
    /// With what message it panics; a plugin call after its programs.
    panics: Option<String>,
}

impl FakeTurn {
    fn steps(&self) -> Vec<Step> {
        let runs = self.run.iter().map(|s| Run::script(s).into());
        let dial = self.dial.iter().map(|to| {
            let (host, port) = to.split_once(':').unwrap_or((to, "80"));
            Step::Dial(Dial {
                via: Via::Task,
                to: Endpoint::Tcp(host.to_owned(), port.parse().unwrap_or(80)),
                send: "hello".into(),
                answer: true,
                time_limit: 10,
            })
        });
        let log = self.log.iter().map(|message| {
            Step::Log(Say {
                level: Level::Info,
                message: message.as_str().into(),
            })
        });
        runs.chain(dial).chain(log).collect()
    }

    /// How many replies it gives.
    fn replies(&self) -> usize {
        if self.call { 1 } else { self.steps().len() }
    }

    #[expect(clippy::panic, reason = "the tests want one")]
    fn turn(&self) -> Turn {
        if let Some(message) = self.panics.as_ref().filter(|_| !self.call) {
            panic!("{message}");
        }
        let steps = self.steps();
        match (self.call, self.last, self.wait) {
            (true, ..) => Turn::Call(Arc::new(FakeCall(steps, self.panics.clone()))),
            (_, true, _) => Turn::Last(steps),
            (_, _, Some(seconds)) => Turn::Wait {
                delay: Duration::from_secs(seconds.into()),
                steps,
                say: None,
            },
            _ => Turn::Do(steps),
        }
    }
}

/// A plugin that has programs run.
#[derive(Debug)]
struct FakeCall(Vec<Step>, Option<String>);

#[async_trait]
impl PluginCall for FakeCall {
    #[expect(clippy::panic, reason = "the tests want one")]
    async fn call(&self, hands: &mut dyn Hands) -> Result<Reply, Failure> {
        let mut ok = true;
        for step in &self.0 {
            ok &= hands.perform(step.clone()).await?.is_wanted(step);
        }
        if let Some(message) = &self.1 {
            panic!("{message}");
        }
        Ok(Reply::Called { ok, output: None })
    }
}

impl CommandKind for FakeKind {
    type Args = FakeArgs;

    fn name(&self) -> &'static str {
        "fake"
    }

    fn about(&self) -> &'static str {
        "Does what a test tells it to."
    }

    #[expect(clippy::panic, reason = "the tests want one")]
    fn initialize(
        &self,
        args: FakeArgs,
        cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        if let Some(message) = &args.panics {
            panic!("{message}");
        }
        match &args.refuses {
            Some(why) => Err(cx.wrong("refuses", why).into()),
            None => Ok(Box::new(Fake(args))),
        }
    }
}

struct Fake(FakeArgs);

/// Whether the command goes on after a reply; its programs want what programs of ours say.
fn is_wanted(reply: &Reply) -> bool {
    match reply {
        Reply::Ran { status, .. } => matches!(*status, 0 | UNCHANGED | SKIPPED),
        Reply::Called { ok, .. } => *ok,
        Reply::Impossible(_) => false,
        _ => true,
    }
}

fn failed(reply: &Reply) -> Outcome {
    match reply {
        Reply::Ran { status, .. } => {
            Failure::new(FailureKind::Command, format!("exit status {status}"))
                .with_status(*status)
                .into()
        }
        Reply::Impossible(why) => Outcome::failed(why),
        _ => Outcome::failed("the plugin said no"),
    }
}

impl Command for Fake {
    fn turn(&self, _facts: &Facts, seen: &[Seen]) -> Turn {
        if let Some(bad) = seen.iter().find(|s| !is_wanted(&s.reply)) {
            if self.0.tolerates {
                return Outcome::Unchanged.into();
            }
            return failed(&bad.reply).into();
        }
        let mut before = 0;
        for turn in &self.0.turns {
            if before >= seen.len() {
                return turn.turn();
            }
            before += turn.replies();
        }
        match self.0.ends.as_deref() {
            Some("unchanged") => Outcome::Unchanged.into(),
            Some("skipped") => Outcome::Skipped("not needed".into()).into(),
            Some("failed") => Outcome::failed("it says so").into(),
            _ => Outcome::Changed.into(),
        }
    }

    fn repeat(&self) -> Repeat {
        match self.0.repeat {
            Some(FakeRepeat::Check) => Repeat::Check,
            Some(FakeRepeat::Ask) => Repeat::Ask,
            _ => Repeat::Safe,
        }
    }

    fn check(&self, _facts: &Facts) -> Option<Vec<Step>> {
        let script = self.0.check.as_ref()?;
        Some(vec![Run::script(script).into()])
    }

    fn owes(&self) -> Owes {
        Owes {
            opens: self.0.opens.clone(),
            closes: self.0.closes.clone(),
        }
    }

    fn takes_out(&self) -> bool {
        self.0.takes_out
    }

    fn said(&self) -> Vec<(Level, String)> {
        self.0
            .says
            .iter()
            .map(|said| (Level::Info, said.clone()))
            .collect()
    }
}
