//! A build: the source is checked out, its version told, the behaviour's tasklist run, all in one run; then the resources
//! are gathered. An action of a project's own is the same without version and resources.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use windlass_engine::registry::Work;
use windlass_model::release::index::FORMAT;
use windlass_model::release::request::Refused;
use windlass_model::release::work::BUILD_KEY;
use windlass_model::release::{
    BuildFacts, BuildSpec, Epoch, Index, JobId, Request, Selector, TargetName, Version, Wanted,
};
use windlass_model::step::Level;
use windlass_model::tasklist::{Job as TaskJob, Stage, Task};
use windlass_model::tree::{Map, Node};

use super::run::Runner;
use super::{
    BehaviourConfig, Failure, FailureKind, Job, SourceConfig, Tools, config_of, resources,
};
use crate::scratch::Scratch;

/// The component of its log lines.
const COMPONENT: &str = "Builder";
/// Longest text that is read from a file with a version or a revision, in bytes.
const LONGEST: usize = 4096;

/// A build to be done.
pub struct BuildWork {
    /// What is asked for.
    pub spec: BuildSpec,
    /// The project's source.
    pub source: SourceConfig,
    /// What builds it. `version_from` and `version_file` of its config say what the release is called; see `source_version`.
    pub behaviour: BehaviourConfig,
}

/// What a build gave. Its files are removed when this is dropped.
#[derive(Debug)]
pub struct Built {
    /// The release's table of contents.
    pub index: Index,
    /// Target -> its resource.
    pub files: BTreeMap<TargetName, PathBuf>,
    scratch: Scratch,
}

impl Built {
    /// The directory that the files lie in.
    pub fn directory(&self) -> &Path {
        self.scratch.path()
    }
}

/// Builds in a directory of its own, of which nothing but the resources is left afterwards, and nothing after a failure. Doing it
/// again is safe: it begins anew. Dropping the future leaves running programs alone; interrupt the job instead.
pub async fn build(work: &BuildWork, tools: &Tools, job: Job) -> Result<Built, Failure> {
    let (scratch, done) = in_scratch(work, tools, job, Gives::Release).await?;
    match done {
        Some((index, files)) => Ok(Built {
            index,
            files,
            scratch,
        }),
        None => Err(Failure::new(FailureKind::Own, "the build gave no release")),
    }
}

/// Runs the tasklist of a generator on the source, as [`build`] does, but makes no release: nothing is left.
pub async fn act(work: &BuildWork, tools: &Tools, job: Job) -> Result<(), Failure> {
    let (scratch, _) = in_scratch(work, tools, job, Gives::Nothing).await?;
    let _ = tokio::task::spawn_blocking(move || drop(scratch)).await;
    Ok(())
}

/// What comes of a tasklist on the source.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gives {
    Release,
    Nothing,
}

type Release = (Index, BTreeMap<TargetName, PathBuf>);

async fn in_scratch(
    work: &BuildWork,
    tools: &Tools,
    job: Job,
    gives: Gives,
) -> Result<(Scratch, Option<Release>), Failure> {
    let request = Request::read(&work.spec.request).map_err(|refused| match refused {
        Refused::Malformed(why) | Refused::Rejected(why) => Failure::new(FailureKind::Input, why),
    })?;
    let name = job.run.as_str().to_owned();
    let scratch = Scratch::new(&tools.work, &name)
        .map_err(|e| Failure::own("the directory of the job cannot be made", e))?;
    let lease = (job.id.clone(), job.epoch);
    let runner = Runner::start(tools, job, scratch.path()).await?;
    let done = run(
        work,
        tools,
        &request,
        &runner,
        lease,
        (scratch.path(), gives),
    )
    .await;
    if let Err(failure) = &done {
        runner.say(Level::Error, COMPONENT, &failure.message);
    }
    runner.finish().await;
    match done {
        Ok(release) => Ok((scratch, release)),
        Err(failure) => {
            // A large tree takes its time.
            let _ = tokio::task::spawn_blocking(move || drop(scratch)).await;
            Err(failure)
        }
    }
}

async fn run(
    work: &BuildWork,
    tools: &Tools,
    request: &Request,
    runner: &Runner<'_>,
    (job, epoch): (JobId, Epoch),
    (directory, gives): (&Path, Gives),
) -> Result<Option<Release>, Failure> {
    let facts = BuildFacts {
        transaction: work.spec.transaction.clone(),
        job,
        epoch,
        project: work.spec.project.clone(),
        targets: work.spec.targets.clone(),
        request: work.spec.request.clone(),
        source: directory.join("source"),
        resources: directory.join("resources"),
        revision_file: directory.join("revision"),
        version_file: directory.join("version"),
    };
    std::fs::create_dir(&facts.resources)
        .map_err(|e| Failure::own("the directory of resources cannot be made", e))?;
    let behaviour = work.behaviour.find(&tools.registry, Work::Build)?;
    let config = config_of(behaviour.name(), &work.behaviour.config, BUILD_KEY, &facts)?;
    let before = vec![first_stage(work, request, &facts, gives)?];
    let tasklist = runner.generate(&*behaviour, config, before).await?;
    runner.run(&tasklist, None).await?;
    if gives == Gives::Nothing {
        return Ok(None);
    }
    let release = gather(work, facts).await?;
    let message = format!(
        "Built {} for {} targets",
        release.0.release(),
        release.1.len()
    );
    runner.say(Level::Info, COMPONENT, &message);
    Ok(Some(release))
}

/// What the build left.
async fn gather(work: &BuildWork, facts: BuildFacts) -> Result<Release, Failure> {
    let (source, revision) = (facts.source, read_line(&facts.revision_file)?);
    let version = read_line(&facts.version_file)?;
    let version: Version = version.parse().map_err(|why| {
        let what = "the file with the version";
        Failure::new(FailureKind::Failed, format!("{what}: {why}"))
    })?;
    let found = tokio::task::spawn_blocking(move || {
        let _ = crate::scratch::remove(&source);
        resources::find(&facts.resources, &facts.targets)
    })
    .await
    .map_err(|e| Failure::own("the resources could not be read", e))??;
    let mut index = Index {
        format: FORMAT,
        project: work.spec.project.clone(),
        version,
        revision: Some(revision).filter(|revision| !revision.is_empty()),
        targets: BTreeMap::new(),
    };
    let mut files = BTreeMap::new();
    for (target, (item, path)) in found {
        index.targets.insert(target.clone(), item);
        files.insert(target, path);
    }
    Ok((index, files))
}

/// Checks out, then tells the version of what becomes a release.
fn first_stage(
    work: &BuildWork,
    request: &Request,
    facts: &BuildFacts,
    gives: Gives,
) -> Result<Stage, Failure> {
    let config = &work.behaviour.config;
    let said = |key: &str| {
        config
            .get(key)
            .and_then(Value::as_str)
            .filter(|t| !t.is_empty())
    };
    let (from, file) = (said("version_from"), said("version_file"));
    let checkout = work.source.task(
        request,
        &facts.source,
        &facts.revision_file,
        from == Some("describe"),
    )?;
    let text = |path: &Path| Node::from(path.to_string_lossy().into_owned());
    let mut args: Vec<(&str, Node)> = vec![
        ("source", text(&facts.source)),
        ("output", text(&facts.version_file)),
        ("revision_file", text(&facts.revision_file)),
    ];
    args.extend(from.map(|from| ("from", from.into())));
    args.extend(file.map(|file| ("file", file.into())));
    if let Wanted::Source {
        selector: Selector::Tag(tag),
        ..
    } = &request.wanted
    {
        args.push(("tag", tag.clone().into()));
    }
    let version = Task {
        command: "source_version".into(),
        tag: Some(request.project.to_string()),
        args: Map::from_iter(args),
        ..Task::default()
    };
    let mut chain = vec![checkout];
    chain.extend((gives == Gives::Release).then_some(version));
    Ok(Stage {
        name: "Check out".into(),
        concurrency: 1,
        jobs: vec![TaskJob::Chain(chain)],
        ..Stage::default()
    })
}

/// The first line of a small file. A link, which a build may have put there, is not followed.
fn read_line(path: &Path) -> Result<String, Failure> {
    use std::io::Read as _;
    let broken = |why: String| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Failure::new(
            FailureKind::Failed,
            format!("the file with the {name}: {why}"),
        )
    };
    let meta = std::fs::symlink_metadata(path).map_err(|e| broken(e.to_string()))?;
    if !meta.is_file() {
        return Err(broken("it is no file".into()));
    }
    let mut text = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LONGEST as u64).read_to_end(&mut text))
        .map_err(|e| broken(e.to_string()))?;
    let text = String::from_utf8_lossy(&text);
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}
