//! A generator that a plugin backs.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use windlass_engine::command::camel_case;
use windlass_engine::generator::{Generator, Help};
use windlass_model::diagnostic::{Diagnostic, Diagnostics, Source};
use windlass_model::ids::HostName;
use windlass_model::package::Package;
use windlass_model::step::Level;
use windlass_model::tasklist::{self, Stage, Tasklist};
use windlass_model::tree::{Node, parse_json, to_json};
use windlass_plugin::describe::Offer;
use windlass_plugin::{CallError, Callbacks, LogLine, Params, RpcError, Worker};

/// A generator that a plugin backs.
pub struct PluginGenerator {
    worker: Arc<Worker>,
    name: String,
    offer: Offer,
}

impl PluginGenerator {
    /// The generator `name`, which `worker` calls as it says in `offer`.
    pub fn new(worker: Arc<Worker>, name: &str, offer: Offer) -> Self {
        Self {
            worker,
            name: name.to_owned(),
            offer,
        }
    }

    fn wrong(&self, message: String) -> Diagnostic {
        Diagnostic::error(format!("generator `{}`: {message}", self.name))
    }

    /// A fault of the tasklist is shown in the tasklist, so that one sees what the plugin made.
    fn tasklist(&self, made: Value) -> Result<Tasklist, Diagnostics> {
        if !made.is_object() {
            let what = Node::from(made).kind();
            let message = format!("its `generate` gave {what} instead of a tasklist");
            return Err(self.wrong(message).into());
        }
        let text = serde_json::to_string_pretty(&made).unwrap_or_default();
        tasklist::from_tree(Node::from(made), None).map_err(|untraced| {
            let name = format!("<tasklist of {}>", self.worker.name());
            let source = Source::new(name, text);
            let traced = parse_json(&source)
                .and_then(|root| tasklist::from_tree(root, Some(&source)).map(drop));
            traced.err().unwrap_or(untraced)
        })
    }
}

#[async_trait]
impl Generator for PluginGenerator {
    fn name(&self) -> &str {
        &self.name
    }

    fn about(&self) -> String {
        self.offer.doc.clone()
    }

    /// Calls `generate`. The config goes as it is merged, secrets as references.
    async fn generate(&self, help: &dyn Help) -> Result<Tasklist, Diagnostics> {
        let mut params = Params::new();
        params.insert("generator".into(), json!(self.offer.name));
        params.insert("config".into(), to_json(&help.config().tree));
        params.insert("options".into(), json!({}));
        let mut callbacks = HelpCallbacks {
            help,
            component: self.component(),
            failed: None,
        };
        let called = self.worker.call("generate", params, &mut callbacks).await;
        match called {
            Ok(made) => self.tasklist(made),
            Err(error) => {
                if let CallError::Refused(refused) = &error
                    && let Some(trace) = refused.traceback()
                {
                    help.log(Level::Error, &self.component(), None, None, trace);
                }
                let own = self.wrong(error.to_string());
                Err(callbacks.failed.unwrap_or_else(|| own.into()))
            }
        }
    }

    fn component(&self) -> String {
        let class = self.offer.class.clone();
        class.unwrap_or_else(|| format!("{}Generator", camel_case(&self.name)))
    }
}

/// Serves a generator's callbacks.
struct HelpCallbacks<'a> {
    help: &'a dyn Help,
    component: String,
    /// Why a callback failed: said better than the plugin can repeat it.
    failed: Option<Diagnostics>,
}

#[async_trait]
impl Callbacks for HelpCallbacks<'_> {
    async fn call(&mut self, method: &str, mut params: Params) -> Result<Value, RpcError> {
        match method {
            "get_packages" => match self.help.packages().await {
                Ok(packages) => Ok(json!(packages)),
                Err(wrong) => {
                    let messages: Vec<&str> = wrong.0.iter().map(|d| d.message.as_str()).collect();
                    let error = RpcError::not_done(messages.join("; "));
                    self.failed = Some(wrong);
                    Err(error)
                }
            },
            "get_remote_versions" => {
                let packages = params.remove("packages").unwrap_or_default();
                let packages: Vec<Package> = serde_json::from_value(packages)
                    .map_err(|e| RpcError::params(format!("{method}: packages: {e}")))?;
                Ok(json!(self.help.remote_versions(&packages).await))
            }
            "get_graphite_stage" => {
                let suffix = params.get("metric_suffix").and_then(Value::as_str);
                let suffix = suffix.ok_or_else(|| {
                    RpcError::params("get_graphite_stage: metric_suffix: a string")
                })?;
                match self.help.graphite_stage(suffix) {
                    Some(stage) => stage_json(stage),
                    None => Ok(Value::Null),
                }
            }
            _ => Err(RpcError::no_method(method)),
        }
    }

    fn log(&mut self, line: LogLine) {
        let host = line.host.as_deref().map(HostName::new);
        let component = line.component.as_deref().unwrap_or(&self.component);
        let (tag, message) = (line.tag.as_deref(), &line.message);
        self.help
            .log(line.level, component, host.as_ref(), tag, message);
    }
}

/// A stage as it stands in a tasklist.
fn stage_json(stage: Stage) -> Result<Value, RpcError> {
    let whole = Tasklist {
        stages: vec![stage],
        ..Tasklist::default()
    };
    let mut text = Vec::new();
    let broken = |e: String| RpcError::not_done(format!("get_graphite_stage: {e}"));
    tasklist::write(&whole, &mut text).map_err(|e| broken(e.to_string()))?;
    let mut whole: Value = serde_json::from_slice(&text).map_err(|e| broken(e.to_string()))?;
    let stage = whole.pointer_mut("/stages/0").map(Value::take);
    stage.ok_or_else(|| broken("no stage".to_owned()))
}
