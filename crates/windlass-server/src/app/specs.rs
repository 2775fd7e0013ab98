//! What an agent is told of a job: made from the transaction, the settings and the store when the job is leased.

use windlass_model::release::{
    AgentKind, BuildSpec, InstallSpec, Job, JobSpec, Request, TargetName, Whole,
};
use windlass_store::InstalledFilter;

use super::{App, AppError, AppResult};

impl App {
    /// What is told of a job. A conflict says why it cannot be done any more: what it is about is gone.
    pub(super) async fn spec(&self, whole: &Whole, job: &Job) -> AppResult<JobSpec> {
        match job.kind {
            AgentKind::Builder => self.build_spec(whole).map(JobSpec::Build),
            AgentKind::Installer => self.install_spec(whole, job).await.map(JobSpec::Install),
        }
    }

    fn build_spec(&self, whole: &Whole) -> AppResult<BuildSpec> {
        let transaction = &whole.transaction;
        Ok(BuildSpec {
            transaction: transaction.id.clone(),
            project: transaction.project.clone(),
            targets: self.targets_of(whole)?,
            request: transaction.request.clone(),
            generator: self.generator_of(whole)?,
        })
    }

    /// The generator of an action of a project's own; none for a build.
    fn generator_of(&self, whole: &Whole) -> AppResult<Option<String>> {
        let (project, action) = (&whole.transaction.project, &whole.transaction.action);
        if matches!(action.as_str(), "build" | "install") {
            return Ok(None);
        }
        let settings = self.settings();
        let actions = settings.projects.get(project).map(|known| &known.actions);
        let generator = actions.and_then(|actions| actions.get(action)).cloned();
        let gone =
            || AppError::Conflict(format!("project {project} has no action {action} any more"));
        generator.map(Some).ok_or_else(gone)
    }

    /// The targets that a transaction is about: those of its project, or the components that were asked for.
    pub(super) fn targets_of(&self, whole: &Whole) -> AppResult<Vec<TargetName>> {
        let transaction = &whole.transaction;
        let request = Request::read(&transaction.request).ok();
        if let Some(components) = request.and_then(|r| r.components) {
            return Ok(components);
        }
        let settings = self.settings();
        let project = settings.projects.get(&transaction.project).ok_or_else(|| {
            AppError::Conflict(format!(
                "project {} is not configured any more",
                transaction.project
            ))
        })?;
        Ok(project.targets.clone())
    }

    async fn install_spec(&self, whole: &Whole, job: &Job) -> AppResult<InstallSpec> {
        let gone = |what: &str| AppError::Conflict(format!("{}: {what}", whole.transaction.id));
        let transaction = &whole.transaction;
        let environment = transaction
            .environment
            .clone()
            .ok_or_else(|| gone("no environment"))?;
        let id = transaction
            .release
            .clone()
            .ok_or_else(|| gone("no release"))?;
        let target = job.target.clone().ok_or_else(|| gone("no target"))?;
        let release = self
            .store()
            .release(&id)
            .await?
            .ok_or_else(|| gone("its release is gone"))?;
        let resource = release.index.targets.get(&target).cloned();
        let resource = resource.ok_or_else(|| gone("the release has nothing for this target"))?;
        let filter = InstalledFilter {
            environment: Some(environment.clone()),
            target: Some(target.clone()),
            agent: job.agent.clone(),
            project: None,
        };
        let rows = self.store().installed(&filter).await?;
        let before = rows.into_iter().find(|row| row.release != id);
        Ok(InstallSpec {
            transaction: transaction.id.clone(),
            sequence: transaction.sequence,
            environment,
            target,
            release: id,
            resource,
            previous: before.map(|row| row.release),
            request: transaction.request.clone(),
        })
    }
}
