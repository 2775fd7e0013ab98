//! The `execute` of a plugin's command, and what the plugin does to the host meanwhile.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use windlass_engine::command::{Hands, PluginCall};
use windlass_model::outcome::{Failure, FailureKind};
use windlass_model::step::{As, Level, Put, PutSource, Reply, Run, Step, Want};
use windlass_plugin::{CallError, Callbacks, LogLine, Params, RpcError, Worker};

use crate::sh::quote;

/// An `execute` that can be called.
pub(super) struct Execute {
    pub(super) worker: Arc<Worker>,
    pub(super) component: String,
    pub(super) params: Params,
    /// Where relative local paths start.
    pub(super) base: PathBuf,
}

impl std::fmt::Debug for Execute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let command = self.params.get("command").and_then(Value::as_str);
        let (name, command) = (self.worker.name(), command.unwrap_or_default());
        write!(f, "`{command}` of the plugin `{name}`")
    }
}

#[async_trait]
impl PluginCall for Execute {
    async fn call(&self, hands: &mut dyn Hands) -> Result<Reply, Failure> {
        let (worker, params) = (&self.worker, self.params.clone());
        let answer = call_plugin(
            worker,
            "execute",
            params,
            hands,
            &self.component,
            &self.base,
        )
        .await?;
        reply_of(answer).ok_or_else(|| {
            plugin_failure(format!(
                "the answer of the plugin `{}` to `execute` is neither true nor false",
                worker.name()
            ))
        })
    }
}

/// A failure that is the plugin's.
pub(super) fn plugin_failure(message: String) -> Failure {
    Failure::new(FailureKind::Plugin, message)
}

/// Makes a call that may act on the task's host, and gives its result. A traceback goes to the log.
pub(super) async fn call_plugin(
    worker: &Worker,
    method: &str,
    params: Params,
    hands: &mut dyn Hands,
    component: &str,
    base: &Path,
) -> Result<Value, Failure> {
    let mut callbacks = HandsCallbacks {
        hands,
        component,
        base,
        failed: None,
    };
    let called = worker.call(method, params, &mut callbacks).await;
    if let Some(failure) = callbacks.failed {
        return Err(failure);
    }
    match called {
        Ok(answer) => Ok(answer),
        Err(CallError::Refused(error)) => {
            if let Some(trace) = error.traceback() {
                hands.log(Level::Error, component, trace.trim_end());
            }
            let message = error.message.lines().collect::<Vec<_>>().join(" / ");
            Err(plugin_failure(message))
        }
        Err(CallError::Broken(why)) => Err(plugin_failure(why)),
    }
}

/// `true`, `false`, `null`, or an object with `result` and `output`.
fn reply_of(answer: Value) -> Option<Reply> {
    let truth = |value: &Value| match value {
        Value::Bool(ok) => Some(*ok),
        Value::Null => Some(false),
        _ => None,
    };
    let (ok, output) = match &answer {
        Value::Object(object) => {
            let output = match object.get("output") {
                Some(Value::String(text)) => Some(text.clone()),
                None | Some(Value::Null) => None,
                Some(other) => Some(other.to_string()),
            };
            (truth(object.get("result")?)?, output)
        }
        other => (truth(other)?, None),
    };
    Some(Reply::Called { ok, output })
}

/// Serves a command's callbacks by steps on the host of its task.
struct HandsCallbacks<'a> {
    hands: &'a mut dyn Hands,
    component: &'a str,
    base: &'a Path,
    /// What the host failed with, whatever the plugin makes of it.
    failed: Option<Failure>,
}

impl HandsCallbacks<'_> {
    async fn perform(&mut self, step: impl Into<Step>) -> Result<Reply, RpcError> {
        if let Some(failure) = &self.failed {
            return Err(RpcError::not_done(failure.to_string()));
        }
        match self.hands.perform(step.into()).await {
            Ok(Reply::Impossible(why)) => Err(RpcError::not_done(why)),
            Ok(reply) => Ok(reply),
            Err(failure) => {
                let error = RpcError::not_done(failure.to_string());
                self.failed = Some(failure);
                Err(error)
            }
        }
    }

    /// Runs a shell line: exit status, stdout, stderr.
    async fn run(&mut self, script: String, user: As) -> Result<(i32, String, String), RpcError> {
        let mut run = Run::script(script).want(Want::Any);
        run.user = user;
        match self.perform(run).await? {
            Reply::Ran {
                status,
                stdout,
                stderr,
            } => Ok((status, stdout, stderr)),
            _ => Err(RpcError::not_done("the host gave no exit status")),
        }
    }

    async fn put_remote(&mut self, params: &Params) -> Result<Value, RpcError> {
        let local = self.base.join(text(params, "local_file")?);
        let directory = text(params, "remote_dir")?;
        if !directory.starts_with('/') {
            let message = format!("put_remote: `{directory}` is not an absolute path");
            return Err(RpcError::params(message));
        }
        let name = local.file_name().and_then(|n| n.to_str());
        let name = name.ok_or_else(|| {
            RpcError::params(format!("put_remote: `{}` names no file", local.display()))
        })?;
        let to = format!("{}/{name}", directory.trim_end_matches('/'));
        let put = Put {
            source: PutSource::File {
                path: local.clone(),
                sha256: None,
            },
            to: to.clone(),
            mode: None,
            owner: None,
            user: As::Login,
            replace: true,
        };
        self.perform(Step::Put(put)).await?;
        Ok(json!([to]))
    }

    async fn file_exists(&mut self, params: &Params) -> Result<Value, RpcError> {
        let path = text(params, "path")?;
        // A path that begins with a dash would be an operator to `test`.
        let path = if path.starts_with('-') {
            format!("./{path}")
        } else {
            path.to_owned()
        };
        let script = format!("test -e {}", quote(&path));
        match self.run(script, As::Login).await? {
            (0, _, _) => Ok(json!(true)),
            (1, _, _) => Ok(json!(false)),
            (status, _, stderr) => Err(RpcError::not_done(format!(
                "file_exists: exit status {status}: {}",
                stderr.trim()
            ))),
        }
    }

    async fn execute_remote(&mut self, params: &Params) -> Result<Value, RpcError> {
        let command = text(params, "command")?.to_owned();
        let user = match params.get("use_sudo") {
            Some(Value::Bool(true)) => As::root(),
            None | Some(Value::Bool(false) | Value::Null) => As::Login,
            Some(_) => {
                let message = "execute_remote: use_sudo: true or false";
                return Err(RpcError::params(message));
            }
        };
        let (status, output, stderr) = self.run(command, user).await?;
        Ok(json!({
            "output": output,
            "stderr": stderr,
            "status": status,
            "succeeded": status == 0,
            "failed": status != 0,
        }))
    }
}

#[async_trait]
impl Callbacks for HandsCallbacks<'_> {
    async fn call(&mut self, method: &str, params: Params) -> Result<Value, RpcError> {
        match method {
            "put_remote" => self.put_remote(&params).await,
            "file_exists" => self.file_exists(&params).await,
            "execute_remote" => self.execute_remote(&params).await,
            _ => Err(RpcError::no_method(method)),
        }
    }

    /// Host and tag are those of the task.
    fn log(&mut self, line: LogLine) {
        let component = line.component.as_deref().unwrap_or(self.component);
        self.hands.log(line.level, component, &line.message);
    }
}

fn text<'p>(params: &'p Params, key: &str) -> Result<&'p str, RpcError> {
    let value = params.get(key).and_then(Value::as_str);
    value.ok_or_else(|| RpcError::params(format!("`{key}` must be a string")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_execute() {
        let called = |ok, output: Option<&str>| {
            Some(Reply::Called {
                ok,
                output: output.map(str::to_owned),
            })
        };
        assert_eq!(reply_of(json!(true)), called(true, None));
        assert_eq!(reply_of(json!(null)), called(false, None));
        assert_eq!(
            reply_of(json!({"result": true, "output": "x"})),
            called(true, Some("x"))
        );
        assert_eq!(
            reply_of(json!({"result": null, "output": null})),
            called(false, None)
        );
        for strange in [json!(1), json!("yes"), json!({}), json!({"result": 1})] {
            assert_eq!(reply_of(strange), None);
        }
    }
}
