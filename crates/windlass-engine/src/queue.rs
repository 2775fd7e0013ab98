//! The job queue's law, without clocks and tasks: which job may start now.
//!
//! Never more than `concurrency` jobs at once; never more than `per_host` on one host; the first queued job whose
//! hosts have room starts; once more jobs than `max_failures` have failed, nothing new does. A start or an end costs
//! O(log jobs) when jobs name one host each.

use std::collections::{BTreeSet, HashMap, VecDeque};

use windlass_model::ids::HostName;

/// The limits of a stage.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Jobs at once; at least 1.
    pub concurrency: usize,
    /// Jobs at once on one host; at least 1.
    pub per_host: Option<usize>,
    /// Jobs that may fail.
    pub max_failures: usize,
}

/// Jobs that wait for room. Jobs are known by their index.
#[derive(Debug)]
pub struct Queue {
    limits: Limits,
    groups: Vec<Group>,
    group_of: Vec<usize>,
    hosts: Vec<Host>,
    /// Groups that may have room, by their first job.
    ready: BTreeSet<(usize, usize)>,
    running: usize,
    failed: usize,
    stopped: bool,
}

/// Jobs on the same set of hosts, in order.
#[derive(Debug)]
struct Group {
    hosts: Vec<usize>,
    jobs: VecDeque<usize>,
}

#[derive(Debug, Default)]
struct Host {
    running: usize,
    /// Groups that wait for this host.
    parked: Vec<usize>,
}

impl Queue {
    /// Queues jobs in order; each is given by the hosts that it counts against, each host once.
    pub fn new(jobs: impl IntoIterator<Item = Vec<HostName>>, limits: Limits) -> Self {
        let mut host_index: HashMap<HostName, usize> = HashMap::new();
        let mut group_index: HashMap<Vec<usize>, usize> = HashMap::new();
        let mut groups: Vec<Group> = Vec::new();
        let mut group_of = Vec::new();
        for (job, names) in jobs.into_iter().enumerate() {
            let mut hosts: Vec<usize> = names
                .into_iter()
                .map(|name| {
                    let next = host_index.len();
                    *host_index.entry(name).or_insert(next)
                })
                .collect();
            hosts.sort_unstable();
            let group = *group_index.entry(hosts).or_insert_with_key(|hosts| {
                groups.push(Group {
                    hosts: hosts.clone(),
                    jobs: VecDeque::new(),
                });
                groups.len() - 1
            });
            if let Some(group) = groups.get_mut(group) {
                group.jobs.push_back(job);
            }
            group_of.push(group);
        }
        let ready = groups
            .iter()
            .enumerate()
            .filter_map(|(g, group)| group.jobs.front().map(|job| (*job, g)))
            .collect();
        Self {
            limits,
            group_of,
            hosts: (0..host_index.len()).map(|_| Host::default()).collect(),
            groups,
            ready,
            running: 0,
            failed: 0,
            stopped: false,
        }
    }

    /// The next job that may start now; it counts as running from here on.
    pub fn start(&mut self) -> Option<usize> {
        while !self.is_stopped() && self.running < self.limits.concurrency {
            let (_, g) = self.ready.pop_first()?;
            let group = self.groups.get_mut(g)?;
            let limit = self.limits.per_host.unwrap_or(usize::MAX);
            let full = group
                .hosts
                .iter()
                .copied()
                .find(|h| self.hosts.get(*h).is_some_and(|host| host.running >= limit));
            if let Some(host) = full.and_then(|h| self.hosts.get_mut(h)) {
                host.parked.push(g);
                continue;
            }
            let job = group.jobs.pop_front()?;
            if let Some(next) = group.jobs.front() {
                self.ready.insert((*next, g));
            }
            for h in &group.hosts {
                if let Some(host) = self.hosts.get_mut(*h) {
                    host.running += 1;
                }
            }
            self.running += 1;
            return Some(job);
        }
        None
    }

    /// A job that was started has ended.
    pub fn finished(&mut self, job: usize, failed: bool) {
        self.running = self.running.saturating_sub(1);
        self.failed += usize::from(failed);
        let Some(group) = self.group_of.get(job).and_then(|g| self.groups.get(*g)) else {
            return;
        };
        for h in &group.hosts {
            let Some(host) = self.hosts.get_mut(*h) else {
                continue;
            };
            host.running = host.running.saturating_sub(1);
            for g in std::mem::take(&mut host.parked) {
                if let Some(first) = self.groups.get(g).and_then(|group| group.jobs.front()) {
                    self.ready.insert((*first, g));
                }
            }
        }
    }

    /// Nothing new starts from here on.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// Whether more jobs failed than may.
    pub fn is_over_budget(&self) -> bool {
        self.failed > self.limits.max_failures
    }

    /// Whether nothing new will start.
    pub fn is_stopped(&self) -> bool {
        self.stopped || self.is_over_budget()
    }

    /// The jobs that were never started, in order.
    pub fn waiting(&self) -> Vec<usize> {
        let mut jobs: Vec<usize> = self
            .groups
            .iter()
            .flat_map(|g| g.jobs.iter().copied())
            .collect();
        jobs.sort_unstable();
        jobs
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn job(hosts: &[u8]) -> Vec<HostName> {
        let mut names: Vec<HostName> = hosts
            .iter()
            .map(|h| HostName::new(&format!("h{h}")))
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// The law, word for word: quadratic, and obviously right.
    struct Law {
        jobs: Vec<Vec<HostName>>,
        limits: Limits,
        queued: Vec<usize>,
        running: Vec<usize>,
        failed: usize,
    }

    impl Law {
        fn next(&mut self) -> Option<usize> {
            if self.failed > self.limits.max_failures
                || self.running.len() >= self.limits.concurrency
            {
                return None;
            }
            let busy = |host: &HostName| {
                self.running
                    .iter()
                    .filter(|j| self.jobs[**j].contains(host))
                    .count()
            };
            let room = |j: &usize| {
                self.jobs[*j]
                    .iter()
                    .all(|h| self.limits.per_host.is_none_or(|limit| busy(h) < limit))
            };
            let at = self.queued.iter().position(room)?;
            let job = self.queued.remove(at);
            self.running.push(job);
            Some(job)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn it_starts_what_the_law_starts(
            hosts in prop::collection::vec(prop::collection::vec(0u8..5, 1..4), 0..60),
            concurrency in 1usize..8,
            per_host in prop::option::of(1usize..4),
            max_failures in 0usize..4,
            choices in prop::collection::vec((any::<prop::sample::Index>(), 0u8..10), 200),
        ) {
            let jobs: Vec<_> = hosts.iter().map(|h| job(h)).collect();
            let limits = Limits { concurrency, per_host, max_failures };
            let mut queue = Queue::new(jobs.clone(), limits);
            let mut law = Law { queued: (0..jobs.len()).collect(), jobs, limits, running: vec![], failed: 0 };
            for (which, luck) in choices {
                loop {
                    let (got, wanted) = (queue.start(), law.next());
                    prop_assert_eq!(got, wanted);
                    if got.is_none() { break; }
                }
                if law.running.is_empty() { break; }
                let job = law.running.remove(which.index(law.running.len()));
                let failed = luck == 0;
                law.failed += usize::from(failed);
                queue.finished(job, failed);
            }
            prop_assert_eq!(queue.waiting(), law.queued);
        }
    }

    #[test]
    fn a_full_host_never_blocks_another() {
        let limits = Limits {
            concurrency: 10,
            per_host: Some(1),
            max_failures: 0,
        };
        let mut queue = Queue::new([job(&[1]), job(&[1]), job(&[2])], limits);
        assert_eq!(queue.start(), Some(0));
        assert_eq!(queue.start(), Some(2));
        assert_eq!(queue.start(), None);
        queue.finished(0, false);
        assert_eq!(queue.start(), Some(1));
    }

    #[test]
    fn a_hundred_thousand_jobs_go_through() {
        let limits = Limits {
            concurrency: 500,
            per_host: Some(2),
            max_failures: 10,
        };
        let hosts: Vec<HostName> = (0..1000).map(|n| HostName::new(&format!("h{n}"))).collect();
        // The jobs of a host stand together, so nearly all that wait do so for a host that is full.
        let jobs = (0..100_000).map(|n| vec![hosts[n / 100].clone()]);
        let mut queue = Queue::new(jobs, limits);
        let mut running = VecDeque::new();
        let mut seen = vec![false; 100_000];
        loop {
            while let Some(job) = queue.start() {
                assert!(
                    !std::mem::replace(&mut seen[job], true),
                    "{job} started twice"
                );
                running.push_back(job);
            }
            let Some(job) = running.pop_front() else {
                break;
            };
            queue.finished(job, false);
        }
        assert!(seen.iter().all(|seen| *seen) && queue.waiting().is_empty());
    }
}
