//! Reads tasklists, and says all that is wrong with one at once.

use std::collections::HashMap;
use std::sync::Arc;

use super::{ENGINE_KEYS, Job, Plan, SourceRef, Stage, Task, Tasklist};
use crate::diagnostic::{Diagnostic, Diagnostics, Source, Span, nearest};
use crate::ids::{HostName, TaskId};
use crate::tree::{Entry, Map, NO_SECRET_HERE, Node, Value, decode, parse_json};

/// So many errors are told; a tasklist with more is wrong in one way many times.
const MOST_ERRORS: usize = 1000;

const TOP_KEYS: [&str; 3] = ["name", "stages", "plan"];
const STAGE_KEYS: [&str; 6] = [
    "name",
    "concurrency",
    "concurrency_per_host",
    "max_failures",
    "finally",
    "tasks",
];

/// Reads a tasklist from JSON and checks all but the commands' own arguments: unknown and missing keys, types,
/// limits below 1, chains in chains, empty chains. Touches no host.
pub fn read(source: &Arc<Source>) -> Result<Tasklist, Diagnostics> {
    from_tree(parse_json(source)?, Some(source))
}

/// The same from a tree, as a generator gives it.
pub fn from_tree(root: Node, source: Option<&Arc<Source>>) -> Result<Tasklist, Diagnostics> {
    let mut reader = Reader {
        source,
        found: Diagnostics::new(),
        untold: 0,
        hosts: HashMap::new(),
    };
    let mut tasklist = reader.tasklist(root);
    tasklist.source = source.map(|source| SourceRef(source.clone()));
    if reader.untold > 0 {
        let message = format!("and {} more errors", reader.untold);
        reader.found.push(Diagnostic::error(message));
    }
    reader.found.or(tasklist)
}

/// Reads a task that stands by itself, at `path`; `label` names the place for messages.
pub(super) fn one_task(node: Node, path: &str, label: &str) -> Result<Task, Diagnostics> {
    let mut reader = Reader {
        source: None,
        found: Diagnostics::new(),
        untold: 0,
        hosts: HashMap::new(),
    };
    let task = reader.task(node, label, TaskId::new(0, 0, 0), &|| path.to_owned());
    reader.found.or(task.unwrap_or_default())
}

/// How messages name a task: `stage "Upload", task 1.2.1 (upload)`.
pub fn task_label(stage: &str, id: TaskId, command: &str) -> String {
    format!("stage \"{stage}\", task {id} ({command})")
}

struct Reader<'a> {
    source: Option<&'a Arc<Source>>,
    found: Diagnostics,
    untold: usize,
    /// Names that tasks share.
    hosts: HashMap<Box<str>, HostName>,
}

/// Where a map stands, for messages.
struct Here<'a> {
    path: &'a dyn Fn() -> String,
    label: &'a dyn Fn() -> Option<String>,
}

impl Here<'_> {
    fn key(&self, key: &str) -> String {
        match (self.path)() {
            path if path.is_empty() => key.to_owned(),
            path => format!("{path}.{key}"),
        }
    }
}

impl Reader<'_> {
    fn tell(
        &mut self,
        span: Span,
        here: &Here<'_>,
        key: Option<&str>,
        fault: (String, Option<String>),
    ) {
        if self.found.0.len() >= MOST_ERRORS {
            self.untold += 1;
            return;
        }
        let (message, hint) = fault;
        let mut diagnostic = Diagnostic::error(message);
        if let Some(source) = self.source {
            diagnostic = diagnostic.at(source, span);
        }
        let path = match key {
            Some(key) => here.key(key),
            None => (here.path)(),
        };
        if !path.is_empty() {
            diagnostic = diagnostic.key(path);
        }
        if let Some(label) = (here.label)() {
            diagnostic = diagnostic.task(label);
        }
        if let Some(hint) = hint {
            diagnostic = diagnostic.hint(hint);
        }
        self.found.push(diagnostic);
    }

    fn unknown(&mut self, entry: &Entry, of: &str, known: &[&str], here: &Here<'_>) {
        let hint = match nearest(&entry.key, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known: {}", known.join(", ")),
        };
        let message = format!("unknown key `{}` of {of}", entry.key);
        self.tell(
            entry.key_span,
            here,
            Some(&entry.key),
            (message, Some(hint)),
        );
    }

    fn missing(&mut self, key: &str, of: &str, span: Span, here: &Here<'_>) {
        self.tell(
            span,
            here,
            None,
            (format!("{of} lacks the key `{key}`"), None),
        );
    }

    fn wrong(&mut self, key: &str, node: &Node, wanted: &str, here: &Here<'_>) {
        let message = match node.value {
            Value::Secret(_) => NO_SECRET_HERE.to_owned(),
            Value::Int(int) => format!("`{key}` is {int}, but {wanted} is wanted"),
            _ => format!("`{key}` is {}, but {wanted} is wanted", node.kind()),
        };
        self.tell(node.span, here, Some(key), (message, None));
    }

    fn text(&mut self, entry: &Entry, here: &Here<'_>) -> Option<String> {
        match entry.value.as_str() {
            Some(text) => return Some(text.to_owned()),
            None => self.wrong(&entry.key, &entry.value, "a string", here),
        }
        None
    }

    fn truth(&mut self, entry: &Entry, here: &Here<'_>) -> Option<bool> {
        match entry.value.value {
            Value::Bool(truth) => return Some(truth),
            _ => self.wrong(&entry.key, &entry.value, "true or false", here),
        }
        None
    }

    fn whole(&mut self, entry: &Entry, least: u32, here: &Here<'_>) -> Option<u32> {
        if let Value::Int(int) = entry.value.value
            && let Ok(number) = u32::try_from(int)
            && number >= least
        {
            return Some(number);
        }
        let wanted = match entry.value.value {
            Value::Int(int) if int > i64::from(u32::MAX) => format!("at most {}", u32::MAX),
            _ => format!("a whole number of at least {least}"),
        };
        self.wrong(&entry.key, &entry.value, &wanted, here);
        None
    }

    /// A name that becomes part of a connection: not empty, no blanks, and never read as an option.
    fn name(&mut self, entry: &Entry, here: &Here<'_>) -> Option<String> {
        let text = self.text(entry, here)?;
        match name_fault(&text) {
            None => Some(text),
            Some(fault) => {
                let message = format!("`{}` {fault}", entry.key);
                self.tell(entry.value.span, here, Some(&entry.key), (message, None));
                None
            }
        }
    }

    fn tasklist(&mut self, root: Node) -> Tasklist {
        let mut tasklist = Tasklist::default();
        let here = Here {
            path: &String::new,
            label: &|| None,
        };
        let span = root.span;
        let Value::Map(map) = root.value else {
            let message = format!("a tasklist is a map, but here is {}", root.kind());
            self.tell(span, &here, None, (message, None));
            return tasklist;
        };
        let (mut has_name, mut has_stages) = (false, false);
        for entry in present(map) {
            match &*entry.key {
                "name" => {
                    has_name = true;
                    tasklist.name = self.text(&entry, &here).unwrap_or_default();
                }
                "plan" => match decode::<Plan>(&entry.value) {
                    Ok(plan) => tasklist.plan = Some(plan),
                    Err(error) => self.found.push(error.diagnostic(self.source, "plan")),
                },
                "stages" => {
                    has_stages = true;
                    match entry.value.value {
                        Value::List(stages) => {
                            tasklist.stages = stages
                                .into_iter()
                                .enumerate()
                                .map(|(index, stage)| self.stage(stage, index))
                                .collect();
                        }
                        _ => self.wrong("stages", &entry.value, "a list of stages", &here),
                    }
                }
                _ => self.unknown(&entry, "the tasklist", &TOP_KEYS, &here),
            }
        }
        for (key, is_there) in [("name", has_name), ("stages", has_stages)] {
            if !is_there {
                self.missing(key, "the tasklist", span, &here);
            }
        }
        tasklist
    }

    fn stage(&mut self, node: Node, index: usize) -> Stage {
        let path = move || format!("stages[{index}]");
        let span = node.span;
        let mut stage = Stage {
            span,
            concurrency: 1,
            ..Stage::default()
        };
        // The name first: every message of the stage says it.
        if let Some(name) = node.get("name").and_then(Node::as_str) {
            stage.name = name.to_owned();
        }
        let name = stage.name.clone();
        let label = move || Some(format!("stage \"{name}\" ({})", index + 1));
        let here = Here {
            path: &path,
            label: &label,
        };
        let Value::Map(map) = node.value else {
            let message = format!("a stage is a map, but here is {}", node.kind());
            self.tell(span, &here, None, (message, None));
            return stage;
        };
        let mut seen = [false; 3];
        const REQUIRED: [&str; 3] = ["name", "concurrency", "tasks"];
        for entry in present(map) {
            if let Some(place) = REQUIRED.iter().position(|key| **key == *entry.key) {
                seen[place] = true;
            }
            match &*entry.key {
                "name" => {
                    self.text(&entry, &here);
                }
                "concurrency" => {
                    stage.concurrency = self.whole(&entry, 1, &here).unwrap_or(1);
                }
                "concurrency_per_host" => {
                    stage.concurrency_per_host = self.whole(&entry, 1, &here);
                }
                "max_failures" => stage.max_failures = self.whole(&entry, 0, &here),
                "finally" => stage.finally = self.truth(&entry, &here).unwrap_or(false),
                "tasks" => match entry.value.value {
                    Value::List(jobs) => {
                        let name = stage.name.clone();
                        stage.jobs = jobs
                            .into_iter()
                            .enumerate()
                            .filter_map(|(job, node)| self.job(node, &name, index, job))
                            .collect();
                    }
                    _ => self.wrong("tasks", &entry.value, "a list of tasks and chains", &here),
                },
                _ => self.unknown(&entry, "a stage", &STAGE_KEYS, &here),
            }
        }
        for (key, seen) in REQUIRED.into_iter().zip(seen) {
            if !seen {
                self.missing(key, "the stage", span, &here);
            }
        }
        stage
    }

    fn job(&mut self, node: Node, stage: &str, s: usize, j: usize) -> Option<Job> {
        let path = move || format!("stages[{s}].tasks[{j}]");
        let id = |link| TaskId::new(number(s), number(j), link);
        let span = node.span;
        let Value::List(links) = node.value else {
            return self.task(node, stage, id(1), &path).map(Job::Task);
        };
        let label = || Some(format!("stage \"{stage}\", chain {}.{}", s + 1, j + 1));
        if links.is_empty() {
            let here = Here {
                path: &path,
                label: &label,
            };
            let fault = (
                "a chain must hold at least one task".into(),
                Some("take the empty list away".into()),
            );
            self.tell(span, &here, None, fault);
        }
        let mut tasks = Vec::with_capacity(links.len());
        for (l, link) in links.into_iter().enumerate() {
            let path = move || format!("stages[{s}].tasks[{j}][{l}]");
            if let Value::List(_) = link.value {
                let here = Here {
                    path: &path,
                    label: &label,
                };
                let hint = "put its tasks into the outer chain, one after the other".to_owned();
                let fault = ("a chain cannot stand in a chain".into(), Some(hint));
                self.tell(link.span, &here, None, fault);
                continue;
            }
            tasks.extend(self.task(link, stage, id(number(l)), &path));
        }
        (!tasks.is_empty()).then_some(Job::Chain(tasks))
    }

    fn task(
        &mut self,
        node: Node,
        stage: &str,
        id: TaskId,
        path: &dyn Fn() -> String,
    ) -> Option<Task> {
        let span = node.span;
        let mut task = Task {
            span,
            ..Task::default()
        };
        let command = node.get("command").and_then(Node::as_str).unwrap_or("?");
        let command = command.to_owned();
        let label = || Some(task_label(stage, id, &command));
        let here = Here {
            path,
            label: &label,
        };
        let Value::Map(mut map) = node.value else {
            let message = format!(
                "a task is a map and a chain a list, but here is {}",
                node.kind()
            );
            self.tell(span, &here, None, (message, None));
            return None;
        };
        let mut has_command = false;
        map.0.retain(|entry| {
            let key = &*entry.key;
            if !ENGINE_KEYS.contains(&key) {
                return true;
            }
            if entry.value.value == Value::Null {
                return false;
            }
            match key {
                "command" => {
                    has_command = true;
                    task.command = self.text(entry, &here).unwrap_or_default();
                    if entry.value.as_str() == Some("") {
                        let fault = ("`command` is empty".to_owned(), None);
                        self.tell(entry.value.span, &here, Some(key), fault);
                    }
                }
                "remote_host" => {
                    let name = self.name(entry, &here);
                    task.remote_host = name.map(|name| self.host(&name));
                }
                "remote_user" => task.remote_user = self.name(entry, &here),
                "tag" => task.tag = self.text(entry, &here),
                "use_sudo" => task.use_sudo = self.truth(entry, &here),
                "time_limit" => task.time_limit = self.whole(entry, 0, &here),
                "retries" => task.retries = self.whole(entry, 0, &here),
                _ => task.retry_delay = self.whole(entry, 0, &here),
            }
            false
        });
        map.0.shrink_to_fit();
        if !has_command {
            self.missing("command", "the task", span, &here);
        }
        task.args = map;
        Some(task)
    }

    fn host(&mut self, name: &str) -> HostName {
        if let Some(host) = self.hosts.get(name) {
            return host.clone();
        }
        let host = HostName::new(name);
        self.hosts.insert(name.into(), host.clone());
        host
    }
}

/// A number from 1 of an index from 0.
fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1)
}

/// The entries that say something: null is the same as absent.
fn present(map: Map) -> impl Iterator<Item = Entry> {
    map.0
        .into_iter()
        .filter(|entry| entry.value.value != Value::Null)
}

/// Why a text cannot be the name of a host or user: what follows "`remote_host` ...".
pub(crate) fn name_fault(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        Some("is empty")
    } else if text.starts_with('-') {
        Some("must not begin with `-`")
    } else if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        Some("must not hold blanks or control characters")
    } else {
        None
    }
}
