//! What a builder does.

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;
use windlass_agent::service::{BuiltFiles, InstallEnd, Work as Errand, Worker};
use windlass_agent::work::{
    BehaviourConfig, BuildWork, Job, Limits, SourceConfig, Tools, VcsKind, act, build, run_id,
};
use windlass_model::Text;
use windlass_model::installation::{self, ReleaseBuilder, Vcs, VersionFrom};
use windlass_model::release::machine::Verdict;
use windlass_model::release::{BuildSpec, InstallSpec, JobId, Project};

use super::joblog;
use crate::installation::Place;

/// The package of the generators that an action may name.
const GENERATOR: &str = "windlass.generator";

/// How a project is built.
pub(super) struct Recipe {
    source: SourceConfig,
    behaviour: BehaviourConfig,
    limits: Limits,
}

impl Recipe {
    /// As its file says.
    pub(super) fn new(
        place: &Place,
        host: installation::Limits,
        builder: &ReleaseBuilder,
        mut behaviour: BehaviourConfig,
    ) -> Self {
        let limits = builder.limits.over(host);
        let (from, file) = match &builder.version {
            VersionFrom::Auto => ("auto", None),
            VersionFrom::Revision => ("revision", None),
            VersionFrom::Tag => ("tag", None),
            VersionFrom::File(file) => ("file", Some(file.clone())),
            VersionFrom::Describe => ("describe", None),
        };
        let config = &mut behaviour.config;
        config.insert("version_from".into(), from.into());
        if let Some(file) = file {
            config.insert("version_file".into(), file.into());
        }
        Self {
            source: source(place, builder.vcs.as_ref()),
            behaviour,
            limits: Limits {
                time: std::time::Duration::from_secs(u64::from(limits.time)),
                output: limits.output,
                disk: limits.disk,
            },
        }
    }
}

impl Recipe {
    fn work(&self, spec: &BuildSpec) -> BuildWork {
        BuildWork {
            spec: spec.clone(),
            source: self.source.clone(),
            behaviour: self.behaviour.clone(),
        }
    }

    fn job(&self, errand: Errand<'_>) -> Result<Job, String> {
        Ok(Job {
            id: errand.job.clone(),
            epoch: errand.epoch,
            run: run_id(errand.job, errand.epoch).ok_or("no random numbers")?,
            sinks: vec![joblog::sink(errand.log)?],
            interrupt: errand.interrupt,
            limits: self.limits,
        })
    }
}

/// A project without `vcs` has its source in `svn_checkout/` of the installation, as it is generated.
fn source(place: &Place, vcs: Option<&Vcs>) -> SourceConfig {
    let Some(vcs) = vcs else {
        let path = absolute(&place.path("svn_checkout"));
        return SourceConfig::new(VcsKind::Directory, path);
    };
    let kind = match vcs.kind {
        installation::VcsKind::Git => VcsKind::Git,
        installation::VcsKind::Svn => VcsKind::Svn,
        installation::VcsKind::Directory => VcsKind::Directory,
    };
    let is_url = vcs.url.contains("://") || (kind == VcsKind::Git && is_scp(&vcs.url));
    let url = match is_url {
        true => vcs.url.clone(),
        false => absolute(&place.path(&vcs.url)),
    };
    SourceConfig {
        username: vcs.username.as_deref().map(Text::plain),
        password: vcs.password.clone().map(Text::secret),
        externals: vcs.externals,
        ..SourceConfig::new(kind, url)
    }
}

/// `git@host:path`, as git has it.
fn is_scp(url: &str) -> bool {
    url.split_once(':')
        .is_some_and(|(host, _)| !host.is_empty() && !host.contains('/'))
}

fn absolute(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.display().to_string()
}

/// A builder's work.
pub(super) struct Builder {
    pub(super) tools: Tools,
    pub(super) recipes: BTreeMap<Project, Recipe>,
}

impl Builder {
    fn recipe(&self, spec: &BuildSpec) -> Result<&Recipe, String> {
        let recipe = self.recipes.get(&spec.project);
        recipe.ok_or_else(|| format!("project {} is not configured here", spec.project))
    }
}

#[async_trait]
impl Worker for Builder {
    async fn build(&self, spec: &BuildSpec, errand: Errand<'_>) -> Result<BuiltFiles, String> {
        let recipe = self.recipe(spec)?;
        let (work, job) = (recipe.work(spec), recipe.job(errand)?);
        let built = build(&work, &self.tools, job)
            .await
            .map_err(|e| e.to_string())?;
        Ok(BuiltFiles {
            index: built.index.clone(),
            files: built.files.clone(),
            keep: Box::new(built),
        })
    }

    async fn act(
        &self,
        spec: &BuildSpec,
        generator: &str,
        errand: Errand<'_>,
    ) -> Result<(), String> {
        let recipe = self.recipe(spec)?;
        let mut work = recipe.work(spec);
        work.behaviour.package = GENERATOR.into();
        work.behaviour.klass = generator.to_owned();
        let acted = act(&work, &self.tools, recipe.job(errand)?).await;
        acted.map_err(|e| e.to_string())
    }

    async fn install(&self, _: &InstallSpec, _: &Path, _: Errand<'_>) -> InstallEnd {
        InstallEnd::Failed("a builder installs nothing".into(), Vec::new())
    }

    async fn probe(&self, _: &JobId) -> Verdict {
        Verdict::NotBegun
    }
}
