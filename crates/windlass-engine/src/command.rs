//! Commands are values: one checks its arguments, then says, step by step, what is to be done on a host.
//!
//! A command never touches anything itself. The executor asks [`Command::turn`] what to do next, has a host do
//! it, and asks again with the replies. So a plan can be printed, compared and tested without a host.

use std::collections::HashSet;
use std::fmt::Display;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use windlass_model::diagnostic::{Diagnostic, Diagnostics, Source};
use windlass_model::ids::{HostName, RunId, TaskId};
use windlass_model::outcome::Outcome;
use windlass_model::shape::{Shape, Where};
use windlass_model::step::{As, Level, Reply, Step};
use windlass_model::tasklist::Task;
use windlass_model::tree::{self, Map, Node};

/// What is known where a command runs. The same facts give the same turns.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The run.
    pub run: RunId,
    /// The task.
    pub task: TaskId,
    /// The task's host.
    pub host: HostName,
    /// Seconds since 1970 when the task began, by the clock of the machine that runs Windlass.
    pub now: i64,
    /// Whose rights the task's steps have, from its `use_sudo`.
    pub user: As,
}

/// A reply and when it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// What came of the step.
    pub reply: Reply,
    /// Since the attempt began.
    pub at: Duration,
}

/// What a command wants next.
#[derive(Debug)]
pub enum Turn {
    /// Do these, then ask again. They stop at the first whose reply is not wanted.
    Do(Vec<Step>),
    /// Wait, do these, then ask again.
    Wait {
        /// How long before the steps.
        delay: Duration,
        /// What then.
        steps: Vec<Step>,
        /// Said to the operator now, when given.
        say: Option<String>,
    },
    /// Do these, then ask for the end. A promise: when every reply is wanted the outcome lets the chain go on, so
    /// the next task of a chain may be sent along. The next turn must be [`Turn::End`].
    Last(Vec<Step>),
    /// Have a plugin do it; its answer comes as [`Reply::Called`].
    Call(Arc<dyn PluginCall>),
    /// That is it.
    End(Verdict),
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// What came of it.
    pub outcome: Outcome,
    /// What the task gives as its output, beyond what its programs printed.
    pub output: Option<String>,
}

impl From<Outcome> for Verdict {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            output: None,
        }
    }
}

impl From<Outcome> for Turn {
    fn from(outcome: Outcome) -> Self {
        Turn::End(outcome.into())
    }
}

/// Whether doing a task again is safe, when it is not known how far it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Doing it twice is as doing it once.
    Safe,
    /// [`Command::check`] can tell whether it was done.
    Check,
    /// Only the operator knows.
    Ask,
}

/// What a command opens for others to close, or closes: `drained web/app2`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owes {
    /// Open from the moment it is sent.
    pub opens: Vec<String>,
    /// Closed once it succeeded.
    pub closes: Vec<String>,
}

/// A command that was initialized with its arguments.
///
/// Implementations are plain values; `turn` is pure and may be called again for the same replies.
pub trait Command: Send + Sync {
    /// What next, given every reply so far.
    fn turn(&self, facts: &Facts, seen: &[Seen]) -> Turn;

    /// Whether doing it again is safe.
    fn repeat(&self) -> Repeat;

    /// Steps that find out whether it was done: wanted replies mean that it was.
    fn check(&self, _facts: &Facts) -> Option<Vec<Step>> {
        None
    }

    /// What it opens and closes.
    fn owes(&self) -> Owes {
        Owes::default()
    }

    /// Whether it may take a service of its host out of service: stops it, drains it.
    fn takes_out(&self) -> bool {
        false
    }

    /// Local files whose contents it needs when run, for a plan to pin.
    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Other hosts whose links it needs (`lb_hostname`); they never count against limits.
    fn other_hosts(&self) -> Vec<HostName> {
        Vec::new()
    }

    /// Log lines of its initialize.
    fn said(&self) -> Vec<(Level, String)> {
        Vec::new()
    }
}

/// What a plugin's command needs to run; see [`Turn::Call`].
#[async_trait]
pub trait PluginCall: Send + Sync + std::fmt::Debug {
    /// Runs the command; everything it asks of its host goes through `hands`. Ends by itself within the task's time
    /// limit or is dropped, which cancels the call.
    async fn call(&self, hands: &mut dyn Hands) -> Result<Reply, windlass_model::outcome::Failure>;
}

/// What a plugin's command may do to the task's host.
#[async_trait]
pub trait Hands: Send {
    /// Does a step on the task's host and waits for its reply.
    async fn perform(&mut self, step: Step) -> Result<Reply, windlass_model::outcome::Failure>;
    /// The log of the run. `host` and `tag` are those of the task unless given.
    fn log(&mut self, level: Level, component: &str, message: &str);
}

/// What a command is initialized in.
pub struct InitContext<'a> {
    /// The task, with its engine's keys.
    pub task: &'a Task,
    /// Its id.
    pub id: TaskId,
    /// The text that it stands in.
    pub source: Option<&'a Arc<Source>>,
    /// `stage "Upload", task 1.2.1 (upload)`.
    pub place: &'a (dyn Display + Sync),
    /// `stages[1].tasks[2][1]`: the path of the task.
    pub path: &'a (dyn Display + Sync),
    /// Where relative local paths start, and where user plugins lie.
    pub base: &'a Path,
    /// SHA-256 that a plan pinned, by local path.
    pub pinned: &'a std::collections::BTreeMap<String, String>,
}

impl InitContext<'_> {
    /// An error about an argument.
    pub fn wrong(&self, argument: &str, message: impl Into<String>) -> Diagnostic {
        let diagnostic = Diagnostic::error(message)
            .key(format!("{}.{argument}", self.path))
            .task(self.place.to_string());
        let span = self
            .task
            .args
            .entry(argument)
            .map_or(self.task.span, |e| e.value.span);
        match self.source {
            Some(source) => diagnostic.at(source, span),
            None => diagnostic,
        }
    }
}

/// A kind of command with typed arguments; one a name. The usual way to write one.
pub trait CommandKind: Send + Sync + 'static {
    /// Its arguments. `#[serde(deny_unknown_fields)]`; the doc comments become the documentation.
    type Args: DeserializeOwned + JsonSchema;

    /// The name in a task's `command`.
    fn name(&self) -> &'static str;

    /// What it does: one sentence.
    fn about(&self) -> &'static str;

    /// Checks the arguments. May read local files, touches no host and changes nothing.
    fn initialize(
        &self,
        args: Self::Args,
        cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics>;
}

/// A boxed future, for traits that must stay objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A kind of command as the registry holds it: built in, or a plugin's.
pub trait AnyCommandKind: Send + Sync {
    /// The name in a task's `command`.
    fn name(&self) -> &str;
    /// What it does: one sentence.
    fn about(&self) -> String;
    /// JSON Schema of its arguments.
    fn schema(&self) -> serde_json::Value;
    /// Checks arguments and makes the command. May be called concurrently.
    fn initialize<'a>(
        &'a self,
        cx: &'a InitContext<'a>,
    ) -> BoxFuture<'a, Result<Box<dyn Command>, Diagnostics>>;
    /// The component of its log lines: `TestCommand`.
    fn component(&self) -> String {
        camel_case(self.name())
    }
}

/// Makes an [`AnyCommandKind`] of a typed one.
pub struct Typed<K> {
    kind: K,
    /// Compiled when it is first wanted: of all commands few are in use.
    shape: OnceLock<Shape>,
}

impl<K: CommandKind> Typed<K> {
    /// Takes one.
    pub fn new(kind: K) -> Self {
        Self {
            kind,
            shape: OnceLock::new(),
        }
    }
}

impl<K: CommandKind> AnyCommandKind for Typed<K> {
    fn name(&self) -> &str {
        self.kind.name()
    }

    fn about(&self) -> String {
        self.kind.about().to_owned()
    }

    fn schema(&self) -> serde_json::Value {
        schemars::schema_for!(K::Args).to_value()
    }

    fn initialize<'a>(
        &'a self,
        cx: &'a InitContext<'a>,
    ) -> BoxFuture<'a, Result<Box<dyn Command>, Diagnostics>> {
        let shape = self.shape.get_or_init(|| Shape::new(&self.schema()));
        let made = check_shape(shape, self.kind.name(), cx).and_then(|()| {
            let args = decode_args(&cx.task.args, cx)?;
            self.kind.initialize(args, cx)
        });
        Box::pin(std::future::ready(made))
    }
}

/// A command as messages name it.
struct Named<'a>(&'a str);

impl Display for Named<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "command `{}`", self.0)
    }
}

/// Checks a task's arguments against the shape of its command: all faults at once.
pub fn check_shape(shape: &Shape, name: &str, cx: &InitContext<'_>) -> Result<(), Diagnostics> {
    let whole = Node {
        span: cx.task.span,
        value: tree::Value::Null,
    };
    let place = Where {
        source: cx.source,
        path: &cx.path,
        task: Some(&cx.place),
        of: &Named(name),
        whole: &whole,
    };
    shape.check(&cx.task.args, &place).or(())
}

fn decode_args<T: DeserializeOwned>(args: &Map, cx: &InitContext<'_>) -> Result<T, Diagnostics> {
    tree::decode_map(args, cx.task.span).map_err(|e| {
        let diagnostic = Diagnostic::error(e.message)
            .key(format!("{}.{}", cx.path, e.path))
            .task(cx.place.to_string());
        match cx.source {
            Some(source) => diagnostic.at(source, e.span),
            None => diagnostic,
        }
        .into()
    })
}

/// `test_command` -> `TestCommand`.
pub fn camel_case(name: &str) -> String {
    name.split(['_', '-'])
        .filter_map(|word| {
            let mut chars = word.chars();
            let first = chars.next()?;
            Some(first.to_uppercase().chain(chars).collect::<String>())
        })
        .collect()
}

/// Secrets that steps refer to.
pub fn secrets_of(steps: &[Step]) -> HashSet<windlass_model::SecretRef> {
    steps
        .iter()
        .flat_map(|step| {
            let texts: Vec<&windlass_model::Text> = match step {
                Step::Run(run) => run.env.iter().map(|(_, v)| v).collect(),
                Step::Put(put) => match &put.source {
                    windlass_model::step::PutSource::Bytes(text) => vec![text],
                    windlass_model::step::PutSource::File { .. } => Vec::new(),
                },
                Step::Dial(dial) => vec![&dial.send],
                Step::Http(http) => std::iter::once(&http.url)
                    .chain(http.headers.iter().map(|(_, v)| v))
                    .chain(&http.body)
                    .chain(&http.proxy)
                    .collect(),
                Step::Log(_) => Vec::new(),
            };
            texts
                .into_iter()
                .flat_map(|t| t.secrets().cloned())
                .collect::<Vec<_>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_camel_case() {
        assert_eq!(camel_case("test_command"), "TestCommand");
        assert_eq!(camel_case("upload"), "Upload");
    }
}
