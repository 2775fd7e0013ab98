//! Commands that a plugin backs.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use windlass_engine::command::{
    AnyCommandKind, BoxFuture, Command, Facts, InitContext, Repeat, Seen, Turn, Verdict,
    camel_case, check_shape,
};
use windlass_model::diagnostic::{Diagnostic, Diagnostics};
use windlass_model::outcome::{Failure, FailureKind, Outcome};
use windlass_model::shape::Shape;
use windlass_model::step::{Level, Reply};
use windlass_model::tree::{Node, to_json};
use windlass_plugin::describe::{CommandOffer, OfferedRepeat};
use windlass_plugin::{CallError, Callbacks, LogLine, Params, RpcError, Worker};

use super::execute::Execute;

/// So many log lines of one initialize are kept.
const MOST_SAID: usize = 1000;

/// A kind of command that a plugin backs.
pub struct PluginCommandKind {
    worker: Arc<Worker>,
    offer: CommandOffer,
    shape: Shape,
}

impl PluginCommandKind {
    /// The command that `worker` offers so.
    pub fn new(worker: Arc<Worker>, offer: CommandOffer) -> Self {
        Self {
            worker,
            shape: Shape::new(&offer.schema),
            offer,
        }
    }

    async fn make(&self, cx: &InitContext<'_>) -> Result<Box<dyn Command>, Diagnostics> {
        check_shape(&self.shape, self.name(), cx)?;
        let params = self.params(cx);
        let mut callbacks = Said {
            component: self.component(),
            lines: Vec::new(),
        };
        let called = self
            .worker
            .call("initialize", params.clone(), &mut callbacks)
            .await;
        let answer = called.map_err(|error| self.refused(cx, &error))?;
        self.check_answer(cx, answer)?;
        Ok(Box::new(PluginCommand {
            execute: Arc::new(Execute {
                worker: self.worker.clone(),
                component: self.component(),
                params,
                base: cx.base.to_owned(),
            }),
            name: self.offer.offer.name.clone(),
            repeat: match self.offer.repeat {
                OfferedRepeat::Safe => Repeat::Safe,
                OfferedRepeat::Ask => Repeat::Ask,
            },
            said: callbacks.lines,
        }))
    }

    /// Those of `initialize` and of `execute`. Secrets among the arguments stay references.
    fn params(&self, cx: &InitContext<'_>) -> Params {
        let arguments = to_json(&Node::from(cx.task.args.clone()));
        let mut params = Params::new();
        params.insert("command".into(), json!(self.name()));
        params.insert("instance".into(), json!(cx.id.to_string()));
        params.insert("arguments".into(), arguments);
        params.insert("remote_host".into(), json!(cx.task.remote_host));
        params.insert("tag".into(), json!(cx.task.tag));
        params
    }

    fn refused(&self, cx: &InitContext<'_>, error: &CallError) -> Diagnostics {
        let mut wrong = self.wrong(cx, format!("command `{}`: {error}", self.name()));
        if let CallError::Refused(refused) = error
            && let Some(trace) = refused.traceback()
        {
            wrong = wrong.hint(format!("from its plugin: {}", trace.trim_end()));
        }
        wrong.into()
    }

    fn check_answer(&self, cx: &InitContext<'_>, answer: Value) -> Result<(), Diagnostics> {
        let name = self.name();
        match answer {
            Value::Bool(true) => Ok(()),
            Value::Bool(false) | Value::Null => {
                let message = format!("command `{name}` does not take these arguments");
                let hint = format!(
                    "`initialize` of {} gave `{answer}` and no reason",
                    self.worker.name()
                );
                Err(self.wrong(cx, message).hint(hint).into())
            }
            Value::Object(mut object) => {
                let Some(Value::Array(found)) = object.remove("diagnostics") else {
                    return Err(self.strange(cx));
                };
                let found = found.iter().map(|item| self.diagnostic(cx, item));
                Diagnostics(found.collect()).or(())
            }
            _ => Err(self.strange(cx)),
        }
    }

    fn diagnostic(&self, cx: &InitContext<'_>, item: &Value) -> Diagnostic {
        let text = |key: &str| item.get(key).and_then(Value::as_str);
        let message = text("message").unwrap_or("not initialized");
        let diagnostic = match text("key") {
            Some(key) => cx.wrong(key, message),
            None => self.wrong(cx, format!("command `{}`: {message}", self.name())),
        };
        match text("hint") {
            Some(hint) => diagnostic.hint(hint),
            None => diagnostic,
        }
    }

    fn strange(&self, cx: &InitContext<'_>) -> Diagnostics {
        let message = format!(
            "command `{}`: the answer of {} to `initialize` is neither true nor diagnostics",
            self.name(),
            self.worker.name()
        );
        self.wrong(cx, message).into()
    }

    /// An error about the whole task.
    fn wrong(&self, cx: &InitContext<'_>, message: String) -> Diagnostic {
        let diagnostic = Diagnostic::error(message)
            .key(cx.path.to_string())
            .task(cx.place.to_string());
        match cx.source {
            Some(source) => diagnostic.at(source, cx.task.span),
            None => diagnostic,
        }
    }
}

impl AnyCommandKind for PluginCommandKind {
    fn name(&self) -> &str {
        &self.offer.offer.name
    }

    fn about(&self) -> String {
        self.offer.offer.doc.clone()
    }

    fn schema(&self) -> Value {
        self.offer.schema.clone()
    }

    /// Checks the arguments against the schema, then asks the plugin.
    fn initialize<'a>(
        &'a self,
        cx: &'a InitContext<'a>,
    ) -> BoxFuture<'a, Result<Box<dyn Command>, Diagnostics>> {
        Box::pin(self.make(cx))
    }

    fn component(&self) -> String {
        let class = self.offer.offer.class.clone();
        class.unwrap_or_else(|| camel_case(self.name()))
    }
}

/// Keeps what a plugin logs during `initialize`. A line in another name than the command's says so.
struct Said {
    component: String,
    lines: Vec<(Level, String)>,
}

#[async_trait]
impl Callbacks for Said {
    async fn call(&mut self, method: &str, _params: Params) -> Result<Value, RpcError> {
        Err(RpcError::no_method(method))
    }

    fn log(&mut self, line: LogLine) {
        if self.lines.len() >= MOST_SAID {
            return;
        }
        let message = match line.component {
            Some(other) if other != self.component => format!("{other}: {}", line.message),
            _ => line.message,
        };
        self.lines.push((line.level, message));
    }
}

/// A command that a plugin backs, initialized.
pub struct PluginCommand {
    execute: Arc<Execute>,
    name: String,
    repeat: Repeat,
    said: Vec<(Level, String)>,
}

impl Command for PluginCommand {
    fn turn(&self, _facts: &Facts, seen: &[Seen]) -> Turn {
        let Some(last) = seen.last() else {
            return Turn::Call(self.execute.clone());
        };
        let (outcome, output) = match &last.reply {
            Reply::Called { ok: true, output } => (Outcome::Changed, output.clone()),
            Reply::Called { ok: false, output } => {
                let said = output
                    .as_deref()
                    .and_then(crate::commands::scripted::last_line);
                let message = match said {
                    Some(line) => format!("command `{}` said no: {line}", self.name),
                    None => format!("command `{}` said no", self.name),
                };
                (Outcome::failed(message), output.clone())
            }
            Reply::Impossible(why) => (Outcome::failed(why), None),
            _ => {
                let message = "a plugin's command was answered by something else than its plugin";
                (Failure::new(FailureKind::Panic, message).into(), None)
            }
        };
        Turn::End(Verdict { outcome, output })
    }

    fn repeat(&self) -> Repeat {
        self.repeat
    }

    fn said(&self) -> Vec<(Level, String)> {
        self.said.clone()
    }
}
