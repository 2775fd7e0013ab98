//! Writes tasklists as a stream: nothing but the task in hand is held.

use std::io;

use super::{ENGINE_KEYS, Job, Stage, Task, Tasklist};
use crate::tree::Node;
use crate::tree::write::{new_line, write_string, write_value};

/// Writes what [`super::read`] reads: pretty JSON, one line break at the end.
///
/// Errors are those of `out`; `InvalidData` is a tasklist that cannot be read back: an argument that has a name of
/// the engine's, an empty chain, a number that is not finite.
pub fn write(tasklist: &Tasklist, out: &mut dyn io::Write) -> io::Result<()> {
    let mut top = Object::open(out, 0)?;
    top.text("name", &tasklist.name)?;
    top.key("stages")?;
    list(&tasklist.stages, 1, top.out, stage)?;
    if let Some(plan) = &tasklist.plan {
        let plan = Node::from(serde_json::to_value(plan)?);
        top.key("plan")?;
        write_value(&plan.value, 1, top.out)?;
    }
    top.close()?;
    out.write_all(b"\n")
}

fn stage(stage: &Stage, indent: usize, out: &mut dyn io::Write) -> io::Result<()> {
    let mut object = Object::open(out, indent)?;
    object.text("name", &stage.name)?;
    object.whole("concurrency", Some(stage.concurrency))?;
    object.whole("concurrency_per_host", stage.concurrency_per_host)?;
    object.whole("max_failures", stage.max_failures)?;
    object.truth("finally", stage.finally.then_some(true))?;
    object.key("tasks")?;
    list(&stage.jobs, indent + 1, object.out, job)?;
    object.close()
}

fn job(job: &Job, indent: usize, out: &mut dyn io::Write) -> io::Result<()> {
    match job {
        Job::Task(one) => task(one, indent, out),
        Job::Chain(tasks) if tasks.is_empty() => Err(unreadable("a chain without tasks")),
        Job::Chain(tasks) => list(tasks, indent, out, task),
    }
}

fn task(task: &Task, indent: usize, out: &mut dyn io::Write) -> io::Result<()> {
    let mut object = Object::open(out, indent)?;
    object.text("command", &task.command)?;
    if let Some(host) = &task.remote_host {
        object.text("remote_host", host.as_str())?;
    }
    if let Some(user) = &task.remote_user {
        object.text("remote_user", user)?;
    }
    if let Some(tag) = &task.tag {
        object.text("tag", tag)?;
    }
    object.truth("use_sudo", task.use_sudo)?;
    object.whole("time_limit", task.time_limit)?;
    object.whole("retries", task.retries)?;
    object.whole("retry_delay", task.retry_delay)?;
    for entry in task.args.iter() {
        if ENGINE_KEYS.contains(&&*entry.key) {
            return Err(unreadable(&format!("an argument named `{}`", entry.key)));
        }
        object.key(&entry.key)?;
        write_value(&entry.value.value, indent + 1, object.out)?;
    }
    object.close()
}

impl Task {
    /// The same as JSON, as [`write()`] writes it; `null` where that cannot be.
    pub fn to_json(&self) -> serde_json::Value {
        let mut text = Vec::new();
        match task(self, 0, &mut text) {
            Ok(()) => serde_json::from_slice(&text).unwrap_or_default(),
            Err(_) => serde_json::Value::Null,
        }
    }
}

fn unreadable(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{what} cannot be written to a tasklist"),
    )
}

fn list<T>(
    items: &[T],
    indent: usize,
    out: &mut dyn io::Write,
    write: fn(&T, usize, &mut dyn io::Write) -> io::Result<()>,
) -> io::Result<()> {
    if items.is_empty() {
        return out.write_all(b"[]");
    }
    for (index, item) in items.iter().enumerate() {
        out.write_all(if index == 0 { b"[" } else { b"," })?;
        new_line(indent + 1, out)?;
        write(item, indent + 1, out)?;
    }
    new_line(indent, out)?;
    out.write_all(b"]")
}

/// A map in the making; it has at least one key.
struct Object<'a> {
    out: &'a mut dyn io::Write,
    indent: usize,
    is_first: bool,
}

impl<'a> Object<'a> {
    fn open(out: &'a mut dyn io::Write, indent: usize) -> io::Result<Self> {
        out.write_all(b"{")?;
        Ok(Self {
            out,
            indent,
            is_first: true,
        })
    }

    fn key(&mut self, key: &str) -> io::Result<()> {
        if !self.is_first {
            self.out.write_all(b",")?;
        }
        self.is_first = false;
        new_line(self.indent + 1, self.out)?;
        write_string(key, self.out)?;
        self.out.write_all(b": ")
    }

    fn text(&mut self, key: &str, text: &str) -> io::Result<()> {
        self.key(key)?;
        write_string(text, self.out)
    }

    fn whole(&mut self, key: &str, number: Option<u32>) -> io::Result<()> {
        let Some(number) = number else { return Ok(()) };
        self.key(key)?;
        write!(self.out, "{number}")
    }

    fn truth(&mut self, key: &str, truth: Option<bool>) -> io::Result<()> {
        let Some(truth) = truth else { return Ok(()) };
        self.key(key)?;
        write!(self.out, "{truth}")
    }

    fn close(self) -> io::Result<()> {
        new_line(self.indent, self.out)?;
        self.out.write_all(b"}")
    }
}
