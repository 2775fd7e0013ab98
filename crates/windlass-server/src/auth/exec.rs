//! A plugin of the installation decides.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use windlass_plugin::{NoCallbacks, Params, Worker};

use super::{Ask, Auth, Credentials, Decision, Identity};

/// Asks a plugin: `authenticate` and `authorize`. Fails closed: a plugin that dies or is silent lets nobody in.
pub struct Exec {
    worker: Arc<Worker>,
    config: Map<String, Value>,
    log: windlass_plugin::Log,
}

impl Exec {
    /// Over a worker, which is started when it is first needed. `config`: what the plugin's file says.
    pub fn new(worker: Arc<Worker>, config: Map<String, Value>, log: windlass_plugin::Log) -> Self {
        Self {
            worker,
            config,
            log,
        }
    }

    async fn call(&self, method: &str, params: Value) -> Result<Value, String> {
        let Value::Object(params) = params else {
            return Err("the call could not be made".into());
        };
        let params: Params = params;
        let mut callbacks = NoCallbacks(self.log.clone());
        let answer = self.worker.call(method, params, &mut callbacks).await;
        answer.map_err(|e| format!("{}: {method}: {e}", self.worker.name()))
    }
}

#[async_trait]
impl Auth for Exec {
    async fn authenticate(&self, credentials: &Credentials) -> Result<Option<Identity>, String> {
        let answer = self
            .call(
                "authenticate",
                json!({ "credentials": credentials, "config": self.config }),
            )
            .await?;
        let identity = match answer {
            Value::Null | Value::Bool(false) => return Ok(None),
            Value::Object(mut answer) => match answer.remove("identity") {
                None | Some(Value::Null) => return Ok(None),
                Some(identity) => identity,
            },
            other => other,
        };
        match identity {
            Value::String(name) if !name.is_empty() => Ok(Some(Identity {
                name,
                about: Map::new(),
            })),
            Value::Object(about) => {
                let name = ["name", "username", "id"]
                    .iter()
                    .find_map(|key| about.get(*key).and_then(Value::as_str))
                    .filter(|name| !name.is_empty())
                    .ok_or_else(|| format!("{}: an identity needs a `name`", self.worker.name()))?;
                Ok(Some(Identity {
                    name: name.to_owned(),
                    about,
                }))
            }
            _ => Err(format!(
                "{}: authenticate: that is no identity",
                self.worker.name()
            )),
        }
    }

    async fn authorize(&self, identity: &Identity, ask: Ask<'_>) -> Result<Decision, String> {
        let mut about = identity.about.clone();
        about
            .entry("name")
            .or_insert_with(|| Value::String(identity.name.clone()));
        let params = json!({
            "identity": about,
            "action": ask.action,
            "project": ask.project,
            "environment": ask.environment,
            "target": ask.target,
            "config": self.config,
        });
        match self.call("authorize", params).await? {
            Value::Bool(true) => Ok(Decision::Yes),
            Value::String(reason) => Ok(Decision::No(reason)),
            Value::Object(answer) => match answer.get("denied").and_then(Value::as_str) {
                Some(reason) => Ok(Decision::No(reason.to_owned())),
                None => Err(format!(
                    "{}: authorize: that is no answer",
                    self.worker.name()
                )),
            },
            Value::Bool(false) | Value::Null => Ok(Decision::No(format!(
                "{} says no, without a reason",
                self.worker.name()
            ))),
            _ => Err(format!(
                "{}: authorize: that is no answer",
                self.worker.name()
            )),
        }
    }
}
