//! Where something is installed, and the receipt that is left beside it.

use windlass_model::diagnostic::{Diagnostic, Diagnostics};
use windlass_model::receipt::ReceiptPlan;
use windlass_model::release::{Ask, InstallFacts, ResourceFacts};
use windlass_model::tasklist::{Job, Plan, Task, Tasklist};
use windlass_model::tree::Node;

use crate::behaviours::{stage, task, tasklist};
use crate::commands::args::AbsolutePath;

/// A path, and the name under which its receipts lie.
pub(super) struct Place {
    /// Its directory.
    pub(super) location: String,
    /// The path.
    pub(super) path: String,
    /// The name of the receipts.
    pub(super) service: String,
}

impl Place {
    /// The target's path as it stands in its config.
    pub(super) fn of(facts: &InstallFacts) -> Result<Self, Diagnostics> {
        let target = &facts.target;
        let wrong = |why: String| {
            let fault = Diagnostic::error(format!("target `{target}`: {why}")).key("install_path");
            Diagnostics::from(fault)
        };
        let Some(written) = &facts.install_path else {
            return Err(wrong("the behaviour needs an `install_path`".into()));
        };
        let path = AbsolutePath::new(written).map_err(wrong)?;
        match path.as_str().rsplit_once('/') {
            Some((directory, name)) if !directory.is_empty() && !name.is_empty() => Ok(Self {
                location: directory.to_owned(),
                path: path.as_str().to_owned(),
                service: name.to_owned(),
            }),
            _ => Err(wrong(format!(
                "`{path}` lies directly in `/`: name one below it"
            ))),
        }
    }

    /// A place of its own beside the path, on the same file system, where a release is made ready.
    pub(super) fn incoming(&self) -> String {
        format!("{}/.windlass/incoming/{}", self.location, self.service)
    }

    /// The chain that installs, and the receipt that it leaves.
    pub(super) fn install(
        &self,
        facts: &InstallFacts,
        resource: &ResourceFacts,
        mut chain: Vec<Task>,
    ) -> Tasklist {
        for task in &mut chain {
            // A receipt is of the job whose tasks are about its service.
            task.tag = Some(self.service.clone());
        }
        let receipt = ReceiptPlan {
            job: "1.1".into(),
            service: self.service.clone(),
            version: resource.version.to_string(),
            install_location: self.location.clone(),
            redeploy: true,
            ..ReceiptPlan::default()
        };
        Tasklist {
            plan: Some(Plan {
                receipts: vec![receipt],
                ..Plan::default()
            }),
            ..tasklist(
                format!("Install {} into {}", facts.target, facts.environment),
                vec![stage("Install", 1, vec![Job::Chain(chain)])],
            )
        }
    }

    /// The task that tells the version.
    pub(super) fn versions(&self, facts: &InstallFacts) -> Tasklist {
        let args: [(&'static str, Node); 3] = [
            ("install_location", self.location.clone().into()),
            ("service", self.service.clone().into()),
            ("reset", (facts.ask == Ask::ResetVersion).into()),
        ];
        let job = Job::Task(task("installed_version", facts.target.as_str(), args));
        tasklist(
            format!("Version of {} in {}", facts.target, facts.environment),
            vec![stage("Version", 1, vec![job])],
        )
    }
}

/// The resource at hand; `None` where only the version is asked for.
pub(super) fn resource(facts: &InstallFacts) -> Result<Option<&ResourceFacts>, Diagnostics> {
    match (facts.ask, &facts.resource) {
        (Ask::Install, Some(resource)) => Ok(Some(resource)),
        (Ask::Install, None) => Err(Diagnostic::error("there is no resource to install").into()),
        _ => Ok(None),
    }
}

/// Whether a name is an archive's that `unpack` knows.
pub(super) fn is_archive(name: &str) -> bool {
    const ENDINGS: [&str; 14] = [
        ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz", ".tar.zst",
        ".tzst", ".zip", ".jar", ".war", ".ear",
    ];
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}
