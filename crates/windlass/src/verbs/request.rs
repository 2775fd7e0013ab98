//! `windlass request`: asks a manager for a build or an install.

use clap::Args;
use serde_json::{Map, Value};
use windlass_model::release::{Environment, Project, ReleaseId, TargetName, Version};

use crate::client::ManagerOptions;
use crate::client::requesting::Asking;
use crate::ending::Ending;
use crate::program::Program;

/// Keys of a request that have an option of their own.
const OWN: [&str; 12] = [
    "project",
    "action",
    "env",
    "trunk",
    "branch",
    "tag",
    "url",
    "revision",
    "release",
    "components",
    "request_id",
    "credentials",
];

/// Asks a manager for a build, an install, or another action of a project
///
/// Prints the transaction's id. Exit status with `--wait`: 0 done, 1 failed or cancelled, 2 rejected, 4 unknown; 130 stopped
/// watching.
#[derive(Debug, Args)]
pub(crate) struct Request {
    /// Of which project
    project: Project,
    /// `build`, `install`, or one that the project declares [default: `install` with --env, else `build`]
    #[arg(long)]
    action: Option<String>,
    /// The environment to install into
    #[arg(long, value_name = "ENVIRONMENT")]
    env: Option<Environment>,
    /// Of the main line [default]
    #[arg(long, group = "source")]
    trunk: bool,
    /// Of a branch
    #[arg(long, group = "source")]
    branch: Option<String>,
    /// Of a tag
    #[arg(long, group = "source")]
    tag: Option<String>,
    /// Of another repository, or another place in it
    #[arg(long, group = "source")]
    url: Option<String>,
    /// This revision [default: the newest]
    #[arg(long)]
    revision: Option<String>,
    /// What is built already: PROJECT@VERSION, or its version
    #[arg(long, conflicts_with_all = ["source", "revision"])]
    release: Option<String>,
    /// Only these targets of the project [default: all]
    #[arg(long, value_name = "TARGET", num_args = 1..)]
    component: Vec<TargetName>,
    /// More for behaviours and plugins
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    data: Vec<(String, String)>,
    /// Watch it: status and logs on standard error, the last status on standard output
    #[arg(long)]
    wait: bool,
    /// Print JSON: transaction and status; with --wait all of the transaction, once it has ended
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    manager: ManagerOptions,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it is KEY=VALUE")?;
    if key.is_empty() {
        return Err("the key is missing: it is KEY=VALUE".into());
    }
    match OWN.contains(&key) {
        true => Err(format!(
            "`{key}` is said by an option or an argument of its own"
        )),
        false => Ok((key.to_owned(), value.to_owned())),
    }
}

impl Request {
    /// Asks, and with `--wait` watches.
    pub(crate) async fn run(self, program: &Program) -> Result<(), Ending> {
        let asking = Asking {
            data: self.request_data()?,
            wait: self.wait,
            json: self.json,
            options: &self.manager,
            common: &program.common,
        };
        asking.ask().await
    }

    fn request_data(&self) -> Result<Map<String, Value>, Ending> {
        let mut data = Map::new();
        for (key, value) in &self.data {
            if data.insert(key.clone(), value.clone().into()).is_some() {
                let message = format!("`--data {key}=...` is said twice");
                return Err(Ending::input(message, "say each key once"));
            }
        }
        let action = match (&self.action, &self.env) {
            (Some(action), _) => action,
            (None, Some(_)) => "install",
            (None, None) if self.release.is_some() => {
                return Err(Ending::input(
                    "a release is built already: where is it to go?",
                    "`--env ENVIRONMENT` says where",
                ));
            }
            (None, None) => "build",
        };
        let mut set = |key: &str, value: Option<String>| {
            data.extend(value.map(|value| (key.to_owned(), Value::String(value))));
        };
        set("project", Some(self.project.to_string()));
        set("action", Some(action.to_owned()));
        set("env", self.env.as_ref().map(ToString::to_string));
        set("branch", self.branch.clone());
        set("tag", self.tag.clone());
        set("url", self.url.clone());
        set("revision", self.revision.clone());
        set("release", self.release()?);
        if self.trunk {
            data.insert("trunk".into(), true.into());
        }
        if !self.component.is_empty() {
            let targets = self.component.iter().map(|target| target.as_str());
            data.insert("components".into(), targets.collect::<Vec<_>>().into());
        }
        Ok(data)
    }

    /// The release that is wanted, in full.
    fn release(&self) -> Result<Option<String>, Ending> {
        let Some(text) = &self.release else {
            return Ok(None);
        };
        let release = match text.contains('@') {
            true => text.parse::<ReleaseId>(),
            false => {
                let version = text.parse::<Version>();
                version.map(|version| ReleaseId::new(self.project.clone(), version))
            }
        };
        let hint = "`windlass releases` shows what was built";
        let release = release.map_err(|why| Ending::input(why, hint))?;
        if release.project != self.project {
            let message = format!("{release} is no release of project {}", self.project);
            return Err(Ending::input(message, hint));
        }
        Ok(Some(release.to_string()))
    }
}
