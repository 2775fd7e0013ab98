//! The built-in behaviours: generators that make the tasklist of a build or an install. `docs/behaviours.md` tells of them.

mod build;
mod install;
mod settings;

pub(crate) use settings::facts_of;

use std::sync::Arc;

use windlass_engine::registry::{Registry, Work};
use windlass_model::tasklist::{Job, Stage, Task, Tasklist};
use windlass_model::tree::{Map, Node};

/// Registers every built-in behaviour.
pub fn register(registry: &mut Registry) {
    registry.behaviour(Work::Build, Arc::new(build::commands::Commands));
    registry.behaviour(Work::Build, Arc::new(build::directory::Directory));
    registry.behaviour(Work::Install, Arc::new(install::unarchive::Unarchive));
    registry.behaviour(Work::Install, Arc::new(install::put_file::PutFile));
    registry.behaviour(
        Work::Install,
        Arc::new(install::release_symlink::ReleaseSymlink),
    );
    registry.behaviour(Work::Install, Arc::new(install::tasklist::FromTasklist));
}

/// A task of this machine.
fn task<V: Into<Node>>(
    command: &str,
    tag: &str,
    args: impl IntoIterator<Item = (&'static str, V)>,
) -> Task {
    Task {
        command: command.into(),
        tag: Some(tag.into()),
        args: Map::from_iter(args),
        ..Task::default()
    }
}

/// One stage after the other, each with its jobs side by side, at most `at_once`.
fn stage(name: &str, at_once: u32, jobs: Vec<Job>) -> Stage {
    Stage {
        name: name.into(),
        concurrency: at_once,
        jobs,
        ..Stage::default()
    }
}

fn tasklist(name: String, stages: Vec<Stage>) -> Tasklist {
    Tasklist {
        name,
        stages: stages.into_iter().filter(|s| !s.jobs.is_empty()).collect(),
        ..Tasklist::default()
    }
}
