//! What is needed of one host: asked as steps, found in their replies.

use std::collections::{BTreeMap, BTreeSet};

use windlass_model::ids::HostName;
use windlass_model::step::{As, Reply, Run, Step, UNCHANGED, Want};

use super::ask::HeardOf;
use super::balancer::BalancerNeeds;
use super::disk::{self, Room, Verdict};
use super::probe::{self, Kind, Probe, Seen};
use super::{Check, Finding, Grade};
use crate::commands::control::Supervised;
use crate::commands::scripted::last_line;

/// A clock that is further off, in seconds, is wrong.
const CLOCK: i64 = 60;
/// Tools without which only some packages cannot be unpacked.
const UNPACKERS: [&str; 4] = ["bzip2", "unzip", "xz", "zstd"];

/// A service under a supervisor.
#[derive(Clone, Debug)]
pub(super) struct Controlled {
    /// Its name in the config.
    pub(super) service: String,
    /// Where it is.
    pub(super) supervised: Supervised,
    /// Whether root asks.
    pub(super) sudo: bool,
}

impl Controlled {
    fn is_systemd(&self) -> bool {
        matches!(self.supervised, Supervised::Systemd(_))
    }
}

/// What is needed of a host.
#[derive(Clone, Debug, Default)]
pub(super) struct Needs {
    /// Whether the host itself is looked at, and not only sockets there.
    itself: bool,
    /// Directories that are written to, each once.
    places: Vec<String>,
    /// Services that are controlled there.
    pub(super) controlled: Vec<Controlled>,
    /// Whether sudo is needed.
    pub(super) sudo: bool,
    /// HAProxies that listen there.
    pub(super) balancers: Vec<BalancerNeeds>,
}

impl Needs {
    /// What every host needs.
    pub(super) fn of_any_host() -> Self {
        Self {
            itself: true,
            ..Self::default()
        }
    }

    /// More directories to write to.
    pub(super) fn write_to(&mut self, places: BTreeSet<String>) {
        for place in places {
            if !self.places.contains(&place) {
                self.places.push(place);
            }
        }
    }

    /// All that is asked, in one batch: as the user who logs in, of sockets, and last through sudo, which may end it.
    pub(super) fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.itself {
            let services = self.services(false);
            let probe = Probe {
                tools: true,
                systemd: self.controlled.iter().any(Controlled::is_systemd),
                places: &self.places,
                disk: self.places.is_empty().then_some("/"),
                services: &services,
            };
            steps.push(probe.run().want(Want::Any).into());
        }
        steps.extend(self.balancers.iter().map(BalancerNeeds::step));
        if self.sudo {
            let services = self.services(true);
            let probe = Probe {
                services: &services,
                ..Probe::default()
            };
            steps.push(Step::Run(Run {
                user: As::root(),
                ..probe.run().want(Want::Any)
            }));
        }
        steps
    }

    /// Whether a step is the one through sudo.
    pub(super) fn is_sudo(&self, at: Option<usize>) -> bool {
        self.sudo && at == Some(usize::from(self.itself) + self.balancers.len())
    }

    /// What the replies to the steps say, as far as there are any.
    pub(super) fn findings(&self, host: &HostName, heard: &HeardOf) -> Vec<Finding> {
        let mut found = Vec::new();
        let mut replies = heard.replies.iter();
        if self.itself
            && let Some(reply) = replies.next()
        {
            match seen(host, reply) {
                Ok(seen) => {
                    found.extend(clock(host, &seen, heard.between));
                    found.extend(tools(host, &seen.missing));
                    found.extend(self.places(host, &seen));
                    found.extend(self.disks(host, &seen));
                    found.extend(self.said_of_services(host, &seen, false));
                }
                Err(fault) => found.push(fault),
            }
        }
        for (balancer, reply) in self.balancers.iter().zip(replies.by_ref()) {
            found.extend(balancer.findings(host, reply));
        }
        if self.sudo
            && let Some(reply) = replies.next()
        {
            match seen(host, reply) {
                Ok(seen) => found.extend(self.said_of_services(host, &seen, true)),
                Err(fault) => found.push(Finding {
                    check: Check::Sudo,
                    ..fault
                }),
            }
        }
        found
    }

    fn services(&self, sudo: bool) -> Vec<(usize, &Supervised)> {
        let numbered = self.controlled.iter().enumerate();
        numbered
            .filter(|(_, controlled)| controlled.sudo == sudo)
            .map(|(number, controlled)| (number, &controlled.supervised))
            .collect()
    }

    fn places(&self, host: &HostName, seen: &Seen) -> Vec<Finding> {
        let error = |message: String| Finding::new(host, Grade::Error, Check::Permission, message);
        let mut found = Vec::new();
        for (number, wanted) in self.places.iter().enumerate() {
            let Some((kind, path)) = seen.places.get(&number) else {
                continue;
            };
            let below = match path == wanted {
                true => String::new(),
                false => format!(", where {wanted} is to be"),
            };
            match kind {
                Kind::Open => {}
                Kind::Closed => found.push(
                    error(format!("no permission to write in {path}{below}"))
                        .hint(format!("let the user who deploys own {wanted}")),
                ),
                Kind::File => found.push(error(format!("{path} is no directory{below}"))),
            }
        }
        found
    }

    /// Each file system once.
    fn disks(&self, host: &HostName, seen: &Seen) -> Vec<Finding> {
        let mut found = Vec::new();
        type Tell = fn(&Room) -> (Verdict, String);
        let kinds: [(_, Tell); 2] = [
            (&seen.space, Room::of_space),
            (&seen.inodes, Room::of_inodes),
        ];
        for (lines, tell) in kinds {
            let mut mounts: BTreeMap<String, (Room, Vec<&str>)> = BTreeMap::new();
            let mut numbers: Vec<&usize> = lines.keys().collect();
            numbers.sort_unstable();
            for number in numbers {
                let Some(room) = lines.get(number).and_then(|line| disk::read(line)) else {
                    continue;
                };
                let mount = mounts.entry(room.mount.clone());
                let (_, places) = mount.or_insert_with(|| (room, Vec::new()));
                places.extend(self.places.get(*number).map(String::as_str));
            }
            for (mount, (room, places)) in mounts {
                let (verdict, said) = tell(&room);
                let grade = match verdict {
                    Verdict::Enough => continue,
                    Verdict::Little => Grade::Warning,
                    Verdict::Full => Grade::Error,
                };
                let of = match places.is_empty() {
                    true => String::new(),
                    false => format!(", which holds {}", places.join(" and ")),
                };
                found.push(
                    Finding::new(host, grade, Check::Disk, format!("{said} on {mount}{of}"))
                        .hint("make room, or keep fewer versions (`keep_versions`)"),
                );
            }
        }
        found
    }

    fn said_of_services(&self, host: &HostName, seen: &Seen, sudo: bool) -> Vec<Finding> {
        let mut found = Vec::new();
        for (number, controlled) in self.controlled.iter().enumerate() {
            let said = seen.services.get(&number);
            let Some((status, line)) = said.filter(|_| controlled.sudo == sudo) else {
                continue;
            };
            let why = match (&controlled.supervised, *status, line.as_str()) {
                (Supervised::Systemd(_), 0, "LoadState=loaded") => continue,
                (Supervised::Systemd(unit), 0, "LoadState=not-found") => {
                    format!("systemd knows no unit {unit}")
                }
                (Supervised::Systemd(unit), 0, "LoadState=masked") => {
                    format!("the unit {unit} is masked")
                }
                (_, 0 | UNCHANGED, _) => continue,
                (_, status, "") => format!("its supervisor cannot be asked (exit status {status})"),
                (_, _, line) => line.to_owned(),
            };
            let message = format!("{}: {why}", controlled.service);
            found.push(
                Finding::new(host, Grade::Error, Check::Service, message)
                    .hint("what the service's `control` names must be there before a deploy"),
            );
        }
        found
    }
}

fn seen(host: &HostName, reply: &Reply) -> Result<Seen, Finding> {
    let why = match reply {
        Reply::Ran {
            status,
            stdout,
            stderr,
        } => {
            let seen = probe::read(stdout);
            if seen.is_whole {
                return Ok(seen);
            }
            let said = last_line(stderr).unwrap_or("it said nothing");
            format!("what looks at the host ended early (exit status {status}): {said}")
        }
        Reply::Impossible(why) => why.clone(),
        _ => "an answer to something else".to_owned(),
    };
    Err(Finding::new(host, Grade::Error, Check::Shell, why))
}

/// The host's time must lie near the moments between which it was told.
fn clock(host: &HostName, seen: &Seen, between: (i64, i64)) -> Option<Finding> {
    let there = seen.clock?;
    let (sent, heard) = between;
    let (off, way) = if there < sent {
        (sent - there, "behind")
    } else {
        (there - heard, "ahead of")
    };
    (off > CLOCK).then(|| {
        let message = format!("its clock is {off} s {way} ours");
        Finding::new(host, Grade::Warning, Check::Clock, message)
            .hint("let both keep time by NTP: receipts and locks hold times")
    })
}

fn tools(host: &HostName, missing: &[String]) -> Vec<Finding> {
    let tell = |grade, message| Finding::new(host, grade, Check::Tools, message);
    let lacks = |tool: &str| missing.iter().any(|m| m == tool);
    let mut found = Vec::new();
    let needed: Vec<&str> = missing
        .iter()
        .map(String::as_str)
        .filter(|tool| !UNPACKERS.contains(tool) && !["mv -T", "python3"].contains(tool))
        .collect();
    if !needed.is_empty() {
        let message = format!("missing: {}", needed.join(", "));
        let hint = match lacks("sha256sum") {
            true => "install them; shasum, openssl or sha256 do in the place of sha256sum",
            false => "install them",
        };
        found.push(tell(Grade::Error, message).hint(hint));
    }
    let unpackers: Vec<&str> = UNPACKERS
        .into_iter()
        .filter(|tool| lacks(tool) && (*tool != "unzip" || lacks("python3")))
        .collect();
    if !unpackers.is_empty() {
        let list = unpackers.join(", ");
        found.push(tell(
            Grade::Note,
            format!("missing: {list}; packages that need them cannot be unpacked there"),
        ));
    }
    if lacks("mv -T") && !lacks("mv") {
        let message = "mv has no -T: where it has no -h either, a link is absent for a moment while it is changed";
        found.push(tell(Grade::Note, message.to_owned()));
    }
    found
}

#[cfg(test)]
#[path = "needs_tests.rs"]
mod tests;
