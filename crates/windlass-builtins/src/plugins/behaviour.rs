//! Build and install behaviours that a plugin backs: each a tasklist of one task.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use windlass_engine::command::{
    AnyCommandKind, BoxFuture, Command, Facts, Hands, InitContext, PluginCall, Repeat, Seen, Turn,
    Verdict,
};
use windlass_engine::generator::{Generator, Help};
use windlass_engine::registry::{Registry, Work};
use windlass_model::diagnostic::{Diagnostic, Diagnostics};
use windlass_model::outcome::{Failure, FailureKind, Outcome};
use windlass_model::release::work::{BUILD_KEY, INSTALL_KEY};
use windlass_model::release::{Ask, BuildFacts, InstallFacts};
use windlass_model::step::{Reply, Step};
use windlass_model::tasklist::{Job, Stage, Task, Tasklist};
use windlass_model::tree::{Map as Tree, Node, to_json};
use windlass_plugin::describe::Offer;
use windlass_plugin::{Params, Worker};

use super::execute::{call_plugin, plugin_failure};
use super::owner::Plugins;
use crate::behaviours::facts_of;
use crate::commands::collect::program;

/// Registers the behaviour `<package>.<klass>` of a file below `base`: `builder.template` is `builder/template.py`, or the
/// executable `builder/template`. The file is asked what it offers; the class is found by its name, or that of the behaviour.
///
/// # Errors
///
/// There is no such file, it cannot say what it offers, or it offers no such behaviour.
pub async fn load_behaviour(
    registry: &mut Registry,
    plugins: &Arc<Plugins>,
    base: &Path,
    work: Work,
    package: &str,
    klass: &str,
) -> Result<(), Diagnostics> {
    let file = find(base, package).map_err(|why| Diagnostics::from(Diagnostic::error(why)))?;
    let worker = plugins.worker(&file);
    let shown = file.display();
    let described = worker
        .describe()
        .await
        .map_err(|e| Diagnostics::from(Diagnostic::error(format!("{shown}: {e}"))))?;
    let (what, offers) = match work {
        Work::Build => ("build", &described.build_behaviours),
        Work::Install => ("install", &described.install_behaviours),
    };
    let is_it = |offer: &&Offer| offer.name == klass || offer.class.as_deref() == Some(klass);
    let Some(offer) = offers.iter().find(is_it) else {
        let class = |offer: &Offer| offer.class.clone().unwrap_or_else(|| offer.name.clone());
        let names: Vec<String> = offers.iter().map(class).collect();
        let wrong = Diagnostic::error(format!("{shown} has no {what} behaviour `{klass}`"));
        return Err(wrong.hint(format!("it has: {}", names.join(", "))).into());
    };
    let name = format!("{package}.{klass}");
    let kind = Kind {
        work,
        command: format!("{what}:{name}"),
        behaviour: offer.name.clone(),
        doc: offer.doc.clone(),
        component: klass.to_owned(),
        worker,
        base: base.to_owned(),
    };
    let generator = PluginBehaviour {
        name,
        command: kind.command.clone(),
        doc: offer.doc.clone(),
        work,
    };
    registry.any_command(Arc::new(kind));
    registry.behaviour(work, Arc::new(generator));
    Ok(())
}

/// The file of a dotted path, which must not lead anywhere else.
fn find(base: &Path, package: &str) -> Result<PathBuf, String> {
    let word = |part: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        !part.is_empty() && part.chars().all(fits)
    };
    if !package.split('.').all(word) {
        return Err(format!(
            "{package:?} is no package: it is the dotted path of a file"
        ));
    }
    let plain = base.join(package.replace('.', "/"));
    let python = plain.with_extension("py");
    match (python.is_file(), plain.is_file()) {
        (true, _) => Ok(python),
        (false, true) => Ok(plain),
        (false, false) => Err(format!(
            "package `{package}`: there is neither {} nor {}",
            python.display(),
            plain.display()
        )),
    }
}

/// Makes the tasklist of one task.
struct PluginBehaviour {
    name: String,
    command: String,
    doc: String,
    work: Work,
}

#[async_trait]
impl Generator for PluginBehaviour {
    fn name(&self) -> &str {
        &self.name
    }

    fn about(&self) -> String {
        self.doc.clone()
    }

    async fn generate(&self, help: &dyn Help) -> Result<Tasklist, Diagnostics> {
        let key = match self.work {
            Work::Build => BUILD_KEY,
            Work::Install => INSTALL_KEY,
        };
        let mut config = help.config().map().clone();
        let facts = config.remove(key).map(|entry| entry.value);
        let facts = facts.unwrap_or_else(|| Tree::default().into());
        let tag = match self.work {
            Work::Build => facts.get("project"),
            Work::Install => facts.get("target"),
        };
        let task = Task {
            command: self.command.clone(),
            tag: tag.and_then(Node::as_str).map(str::to_owned),
            args: Tree::from_iter([("facts", facts), ("config", config.into())]),
            // What limits it is the job's.
            time_limit: Some(0),
            ..Task::default()
        };
        let stage = Stage {
            name: self.name.clone(),
            concurrency: 1,
            jobs: vec![Job::Task(task)],
            ..Stage::default()
        };
        Ok(Tasklist {
            name: self.name.clone(),
            stages: vec![stage],
            ..Tasklist::default()
        })
    }
}

/// The command behind it.
struct Kind {
    work: Work,
    command: String,
    behaviour: String,
    doc: String,
    component: String,
    worker: Arc<Worker>,
    base: PathBuf,
}

impl AnyCommandKind for Kind {
    fn name(&self) -> &str {
        &self.command
    }

    fn about(&self) -> String {
        self.doc.clone()
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object",
            "properties": {
                "facts": {"type": "object", "description": "The work at hand."},
                "config": {"type": "object", "description": "The behaviour's config."},
            },
            "required": ["facts", "config"],
        })
    }

    fn initialize<'a>(
        &'a self,
        cx: &'a InitContext<'a>,
    ) -> BoxFuture<'a, Result<Box<dyn Command>, Diagnostics>> {
        Box::pin(std::future::ready(self.make(cx)))
    }

    fn component(&self) -> String {
        self.component.clone()
    }
}

impl Kind {
    fn make(&self, cx: &InitContext<'_>) -> Result<Box<dyn Command>, Diagnostics> {
        let config = cx.task.args.get("config").map(to_json).unwrap_or_default();
        let facts = cx.task.args.get("facts");
        let mut params = Params::new();
        params.insert("behaviour".into(), json!(self.behaviour));
        params.insert("config".into(), config);
        let (method, collect) = match self.work {
            Work::Build => {
                let facts: BuildFacts = facts_of(facts, BUILD_KEY)?;
                let project = json!({"name": facts.project, "targets": facts.targets});
                params.insert("project".into(), project);
                params.insert("request".into(), Value::Object(facts.request.clone()));
                params.insert("work_directory".into(), json!(facts.source));
                ("build", Some(facts))
            }
            Work::Install => {
                let facts: InstallFacts = facts_of(facts, INSTALL_KEY)?;
                params.insert("target".into(), json!(facts.target));
                params.insert("environment".into(), json!(facts.environment));
                params.insert("install_path".into(), json!(facts.install_path));
                if let Some(resource) = &facts.resource {
                    params.insert("resource".into(), json!(resource.path));
                }
                let method = match facts.ask {
                    Ask::Install => "install",
                    Ask::GetVersion => "get_version",
                    Ask::ResetVersion => "reset_version",
                };
                (method, None)
            }
        };
        Ok(Box::new(Once(Arc::new(Call {
            worker: self.worker.clone(),
            component: self.component.clone(),
            method,
            params,
            base: self.base.clone(),
            collect,
        }))))
    }
}

/// One call.
struct Once(Arc<Call>);

impl Command for Once {
    fn turn(&self, _facts: &Facts, seen: &[Seen]) -> Turn {
        let Some(last) = seen.last() else {
            return Turn::Call(self.0.clone());
        };
        let (outcome, output) = match &last.reply {
            Reply::Called { ok: true, output } => (Outcome::Changed, output.clone()),
            Reply::Called { output, .. } => {
                let message = format!("`{}` of {} said no", self.0.method, self.0.component);
                (Outcome::failed(message), output.clone())
            }
            Reply::Impossible(why) => (Outcome::failed(why), None),
            _ => (Outcome::failed("no plugin answered"), None),
        };
        Turn::End(Verdict { outcome, output })
    }

    fn repeat(&self) -> Repeat {
        match self.0.method {
            "install" => Repeat::Ask,
            _ => Repeat::Safe,
        }
    }
}

struct Call {
    worker: Arc<Worker>,
    component: String,
    method: &'static str,
    params: Params,
    base: PathBuf,
    /// The build whose files are collected afterwards.
    collect: Option<BuildFacts>,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.worker.name();
        write!(
            f,
            "`{}` of {} of the plugin `{name}`",
            self.method, self.component
        )
    }
}

#[async_trait]
impl PluginCall for Call {
    async fn call(&self, hands: &mut dyn Hands) -> Result<Reply, Failure> {
        let (worker, params) = (&self.worker, self.params.clone());
        let answer = call_plugin(
            worker,
            self.method,
            params,
            hands,
            &self.component,
            &self.base,
        )
        .await?;
        let strange = || {
            let message = format!(
                "the answer of the plugin `{}` to `{}`",
                worker.name(),
                self.method
            );
            plugin_failure(format!("{message} is not what the protocol has: {answer}"))
        };
        let output = match (self.method, &answer) {
            ("build", Value::Object(map)) => {
                let resources = map.get("resources").and_then(Value::as_object);
                self.gather(resources.ok_or_else(strange)?, hands).await?;
                None
            }
            ("install", Value::Bool(_) | Value::Null) => {
                let ok = answer == Value::Bool(true);
                return Ok(Reply::Called { ok, output: None });
            }
            ("get_version" | "reset_version", Value::Object(map)) => match map.get("version") {
                None | Some(Value::Null) => Some(String::new()),
                Some(Value::String(version)) => Some(version.clone()),
                Some(_) => return Err(strange()),
            },
            _ => return Err(strange()),
        };
        Ok(Reply::Called { ok: true, output })
    }
}

impl Call {
    /// Puts each file that the plugin named to where resources belong: as `collect` does.
    async fn gather(
        &self,
        resources: &Map<String, Value>,
        hands: &mut dyn Hands,
    ) -> Result<(), Failure> {
        let Some(facts) = &self.collect else {
            return Ok(());
        };
        let failed = |target: &str, why: &str| {
            Failure::new(FailureKind::Command, format!("target `{target}`: {why}"))
        };
        for (target, file) in resources {
            let Some(known) = facts.targets.iter().find(|t| t.as_str() == target) else {
                return Err(failed(target, "the project has no such target"));
            };
            let Some(file) = file.as_str() else {
                return Err(failed(target, "its file must be a path"));
            };
            // A path that lies in the work directory may be written out in full.
            let source = facts.source.to_string_lossy();
            let inner = file
                .strip_prefix(&*source)
                .map(|rest| rest.trim_start_matches('/'));
            let to = facts.resources.join(known.as_str());
            let run = program(&source, inner.unwrap_or(file), &to.to_string_lossy())
                .map_err(|why| failed(target, &why))?;
            let step = Step::Run(run);
            let reply = hands.perform(step.clone()).await?;
            if !reply.is_wanted(&step) {
                let failure = crate::commands::scripted::failure_of(&reply, "its file");
                return Err(failed(target, &failure.message));
            }
        }
        Ok(())
    }
}
