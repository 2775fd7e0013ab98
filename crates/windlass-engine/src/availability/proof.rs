//! How many hosts of a service a tasklist can have out of service at once, at worst.
//!
//! By the law of the queue a stage starts nothing more once more than `max_failures` of its jobs have failed, and never has
//! more than `concurrency` under way. A host is out while its job runs, and stays out when it fails. So a stage leaves at
//! most `max_failures` failed jobs to the stages after it; the one that the run ends with has besides those whatever was under
//! way. After that only `finally` stages run. Which hosts these are is free, but each counts once: the most is a
//! matching of hosts to stages.

use std::collections::HashMap;

use windlass_model::ids::HostName;

use crate::queue::Limits;

/// What a stage does to a service.
#[derive(Clone, Debug)]
pub struct StageShape {
    /// Its limits.
    pub limits: Limits,
    /// Whether it runs whatever happened before.
    pub finally: bool,
    /// Its jobs that take hosts of the service out.
    pub jobs: Vec<JobShape>,
}

/// A job that takes hosts of the service out.
#[derive(Clone, Debug)]
pub struct JobShape {
    /// The hosts that it counts against.
    pub hosts: Vec<HostName>,
    /// The hosts of the service, by number.
    pub takes_out: Vec<usize>,
}

/// The most hosts that are out in a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exposure {
    /// Which stage, from 0: the one that the run ends with, `finally` stages apart.
    pub stage: usize,
    /// Hosts out at once in it, or in `finally` stages after it.
    pub most: usize,
}

/// For each stage that takes hosts of the service out, the most that are out at once by then.
///
/// No run has more out; where each job takes one host out, there is a run that has so many out.
pub fn exposures(stages: &[StageShape]) -> Vec<Exposure> {
    let own = stages
        .iter()
        .enumerate()
        .filter(|(_, s)| !s.jobs.is_empty());
    own.map(|(last, _)| {
        let rooms: Vec<Room> = stages
            .iter()
            .enumerate()
            .filter_map(|(at, stage)| Room::new(stage, at, last))
            .collect();
        Exposure {
            stage: last,
            most: most_placed(&rooms),
        }
    })
    .collect()
}

/// How many hosts a stage can have out for good, and which ones.
struct Room {
    size: usize,
    hosts: Vec<usize>,
}

impl Room {
    /// `None` when it has none: the run ended with stage `last`.
    fn new(stage: &StageShape, at: usize, last: usize) -> Option<Self> {
        let failed = stage.limits.max_failures;
        let jobs = match at {
            at if at < last => failed,
            at if at == last || stage.finally => failed.saturating_add(at_once(stage)),
            _ => return None,
        };
        let mut sizes: Vec<usize> = stage.jobs.iter().map(|job| job.takes_out.len()).collect();
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        let mut hosts: Vec<usize> = stage
            .jobs
            .iter()
            .flat_map(|j| j.takes_out.clone())
            .collect();
        hosts.sort_unstable();
        hosts.dedup();
        Some(Self {
            size: sizes.into_iter().take(jobs).sum(),
            hosts,
        })
    }
}

/// How many of a stage's jobs run at once: those that all count against one host are limited by its room.
fn at_once(stage: &StageShape) -> usize {
    let all = stage.jobs.len();
    let mut on: HashMap<&HostName, usize> = HashMap::new();
    for host in stage.jobs.iter().flat_map(|job| &job.hosts) {
        *on.entry(host).or_default() += 1;
    }
    let room = stage.limits.per_host.unwrap_or(usize::MAX);
    let by_host = on.values().map(|here| all - here + room.min(*here)).min();
    stage.limits.concurrency.min(by_host.unwrap_or(all))
}

/// The most hosts that can be given to rooms, each to one that it may be in.
fn most_placed(rooms: &[Room]) -> usize {
    let mut wants: HashMap<usize, Vec<usize>> = HashMap::new();
    for (r, room) in rooms.iter().enumerate().filter(|(_, room)| room.size > 0) {
        for host in &room.hosts {
            wants.entry(*host).or_default().push(r);
        }
    }
    let total = rooms
        .iter()
        .fold(0usize, |sum, room| sum.saturating_add(room.size));
    let mut placed: Vec<Vec<usize>> = rooms.iter().map(|_| Vec::new()).collect();
    let mut count = 0;
    let mut hosts: Vec<&usize> = wants.keys().collect();
    hosts.sort_unstable();
    for host in hosts {
        if count == total {
            break;
        }
        let mut tried = vec![false; rooms.len()];
        count += usize::from(place(*host, rooms, &wants, &mut placed, &mut tried));
    }
    count
}

/// Finds a room for a host, others moving where they must.
fn place(
    host: usize,
    rooms: &[Room],
    wants: &HashMap<usize, Vec<usize>>,
    placed: &mut [Vec<usize>],
    tried: &mut [bool],
) -> bool {
    for r in wants.get(&host).into_iter().flatten().copied() {
        let (Some(room), Some(was_tried)) = (rooms.get(r), tried.get_mut(r)) else {
            continue;
        };
        if std::mem::replace(was_tried, true) {
            continue;
        }
        let here = placed.get(r).cloned().unwrap_or_default();
        let free = here.len() < room.size;
        let moved = match free {
            true => None,
            false => here
                .iter()
                .position(|other| place(*other, rooms, wants, placed, tried)),
        };
        if !free && moved.is_none() {
            continue;
        }
        if let Some(inside) = placed.get_mut(r) {
            if let Some(moved) = moved {
                inside.swap_remove(moved);
            }
            inside.push(host);
        }
        return true;
    }
    false
}

#[cfg(test)]
mod tests;
