//! The program that looks at a host, and what its lines say.

use std::collections::HashMap;
use std::fmt::Write as _;

use windlass_model::step::Run;

use crate::commands::control::{Action, Supervised};
use crate::sh::quote;

const BODY: &str = include_str!("probe.sh");

/// What to look at, by the numbers by which the program's lines name it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Probe<'a> {
    /// Whether to look at tools.
    pub(super) tools: bool,
    /// And at those of systemd.
    pub(super) systemd: bool,
    /// Directories that are written to, there or not.
    pub(super) places: &'a [String],
    /// A directory whose disk is looked at only.
    pub(super) disk: Option<&'a str>,
    /// Services.
    pub(super) services: &'a [(usize, &'a Supervised)],
}

/// How a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It can be written to.
    Open,
    /// It cannot.
    Closed,
    /// It is none.
    File,
}

/// What the program said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Seconds since 1970.
    pub(super) clock: Option<i64>,
    /// Tools that are missing.
    pub(super) missing: Vec<String>,
    /// By the number of the place: how what there is of it is, and its path.
    pub(super) places: HashMap<usize, (Kind, String)>,
    /// By the number of the place: a line of `df`.
    pub(super) space: HashMap<usize, String>,
    /// Likewise, of inodes.
    pub(super) inodes: HashMap<usize, String>,
    /// By the number of the service: an exit status, and the last line that was said.
    pub(super) services: HashMap<usize, (i32, String)>,
    /// Whether the program came to its end.
    pub(super) is_whole: bool,
}

impl Probe<'_> {
    /// The program.
    pub(super) fn run(&self) -> Run {
        let mut script = String::from("LC_ALL=C\nexport LC_ALL\nunset CDPATH\n");
        for line in BODY.lines().filter(|l| !l.trim_start().starts_with('#')) {
            script.push_str(line);
            script.push('\n');
        }
        if self.tools {
            script.push_str("tools\n");
        }
        if self.systemd {
            script.push_str("have timeout || say missing timeout\n");
        }
        for (number, path) in self.places.iter().enumerate() {
            let _ = writeln!(script, "place {number} {}", quote(path));
        }
        if let Some(path) = self.disk {
            let _ = writeln!(script, "disk {} {}", self.places.len(), quote(path));
        }
        for (number, service) in self.services {
            match service {
                Supervised::Systemd(unit) => {
                    let _ = writeln!(script, "unit {number} {}", quote(unit));
                }
                dir => {
                    let status = dir.script(Action::Status, 5);
                    let _ = write!(script, "look_{number}() {{\n{status}}}\n");
                    let _ = writeln!(script, "service {number} look_{number}");
                }
            }
        }
        script.push_str("say end\n");
        Run::script(script)
    }
}

/// Reads the program's standard output.
pub(super) fn read(output: &str) -> Seen {
    let mut seen = Seen::default();
    for line in output.lines() {
        let mut parts = line.splitn(4, '\t');
        let mut next = || parts.next().unwrap_or_default();
        let (what, first, second, rest) = (next(), next(), next(), next().to_owned());
        if what == "clock" {
            seen.clock = first.parse().ok();
        } else if what == "missing" {
            seen.missing.push(first.to_owned());
        } else if what == "end" {
            seen.is_whole = true;
        }
        let Ok(number) = first.parse::<usize>() else {
            continue;
        };
        match what {
            "place" => {
                let kind = match second {
                    "open" => Kind::Open,
                    "closed" => Kind::Closed,
                    _ => Kind::File,
                };
                seen.places.insert(number, (kind, rest));
            }
            "space" => {
                seen.space.insert(number, rest);
            }
            "inodes" => {
                seen.inodes.insert(number, rest);
            }
            "service" => {
                let status = second.parse().unwrap_or(-1);
                seen.services.insert(number, (status, rest));
            }
            _ => {}
        }
    }
    seen
}

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;
