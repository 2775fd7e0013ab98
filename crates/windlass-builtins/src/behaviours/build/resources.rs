//! Which files of the source become which target's resource.

use windlass_model::release::{BuildFacts, TargetName};
use windlass_model::tasklist::{Job, Stage};
use windlass_model::tree::{Map, Node, Value};

use crate::behaviours::settings::Settings;
use crate::behaviours::{stage, task};

/// Archives that are made at once.
const AT_ONCE: u32 = 4;

/// What a target's resource is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Recipe {
    from: Option<String>,
    files: Vec<String>,
    exclude: Vec<String>,
    archive: Option<String>,
    name: Option<String>,
}

/// The stage that collects a resource for each target. Targets that the config does not name are made as `otherwise` says: of all
/// files, or not at all, which is a fault.
pub(super) fn collect(facts: &BuildFacts, settings: &mut Settings<'_>, all_files: bool) -> Stage {
    let general = Recipe {
        from: settings.text("from"),
        files: settings.texts("files"),
        exclude: settings.texts("exclude"),
        archive: settings.text("archive"),
        name: settings.text("resource_name"),
    };
    let named = settings.map("targets");
    let mut jobs = Vec::new();
    for target in &facts.targets {
        let node = named.and_then(|named| named.get(target.as_str()));
        let recipe = match node {
            Some(node) => recipe(settings, target, node, &general),
            None if all_files || !general.files.is_empty() => Some(general.clone()),
            None => {
                let why = format!("which files are the resource of target `{target}`?");
                settings.wrong("targets", why);
                None
            }
        };
        if let Some(recipe) = recipe {
            jobs.push(Job::Task(recipe.task(facts, target)));
        }
    }
    stage("Collect", AT_ONCE, jobs)
}

/// One pattern, a list of patterns, or a map.
fn recipe(
    settings: &mut Settings<'_>,
    target: &TargetName,
    node: &Node,
    general: &Recipe,
) -> Option<Recipe> {
    let Value::Map(map) = &node.value else {
        let one = Map::from_iter([("files", node.clone())]);
        let mut inner = settings.within(&one, format!("targets.{target}."));
        let files = inner.texts("files");
        let faults = std::mem::take(&mut inner.faults);
        settings.faults.extend(faults);
        return Some(Recipe {
            files,
            ..general.clone()
        });
    };
    let mut inner = settings.within(map, format!("targets.{target}."));
    let or = |own: Vec<String>, general: &Vec<String>| match own.is_empty() {
        true => general.clone(),
        false => own,
    };
    let recipe = Recipe {
        from: inner.text("from").or_else(|| general.from.clone()),
        files: or(inner.texts("files"), &general.files),
        exclude: or(inner.texts("exclude"), &general.exclude),
        archive: inner.text("archive").or_else(|| general.archive.clone()),
        name: inner.text("name").or_else(|| general.name.clone()),
    };
    let faults = std::mem::take(&mut inner.faults);
    settings.faults.extend(faults);
    Some(recipe)
}

impl Recipe {
    fn task(&self, facts: &BuildFacts, target: &TargetName) -> windlass_model::tasklist::Task {
        let source = facts.source.to_string_lossy();
        let source = match self.from.as_deref().map(|from| from.trim_matches('/')) {
            None | Some("" | ".") => source.into_owned(),
            Some(from) => format!("{source}/{from}"),
        };
        let files = match self.files.is_empty() {
            true => vec![".".to_owned()],
            false => self.files.clone(),
        };
        let destination = facts.resources.join(target.as_str());
        let mut args: Vec<(&'static str, Node)> = vec![
            ("source", source.into()),
            ("files", files.into()),
            (
                "destination",
                destination.to_string_lossy().into_owned().into(),
            ),
        ];
        if !self.exclude.is_empty() {
            args.push(("exclude", self.exclude.clone().into()));
        }
        if let Some(archive) = &self.archive {
            args.push(("archive", archive.clone().into()));
        }
        if let Some(name) = &self.name {
            args.push(("name", name.clone().into()));
        }
        task("collect", target.as_str(), args)
    }
}
