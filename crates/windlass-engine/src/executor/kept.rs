//! What a run keeps on its hosts is removed once it is known: by the last job of a host, in the conversation that it has, when
//! all went well there; of the others when the run has ended. What is not known stays, to be asked back.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use windlass_model::ids::HostName;
use windlass_model::step::As;

use super::Shared;
use super::prepare::{Prepared, PreparedJob, PreparedTask};
use crate::command::Repeat;
use crate::host::{HostError, Keep};

/// How many hosts are cleaned at once.
const AT_ONCE: usize = 64;
/// How long cleaning may take, all of it: what is left is removed by a later run.
const CLEAN: Duration = Duration::from_secs(20);

/// A host, as whom it was talked to, and in whose home work is kept there.
type Keeper = (HostName, Option<String>, As);

/// Who keeps work of a run.
#[derive(Default)]
pub(crate) struct Keepers {
    all: Mutex<HashMap<Keeper, Keep>>,
    ready: Mutex<HashSet<Keeper>>,
    /// How many jobs that act on a host have not come to a good end.
    left: Mutex<HashMap<HostName, usize>>,
    /// Whether something came to an end that is settled by what is kept, should the run be resumed.
    stays: AtomicBool,
}

impl Keepers {
    /// Notes that a host is about to keep something.
    pub(crate) fn add(&self, host: &HostName, user: Option<&str>, keep: &Keep) {
        locked(&self.all)
            .entry(keeper(host, user, keep))
            .or_insert_with(|| keep.clone());
    }

    /// Notes that a host is ready to keep something.
    pub(crate) fn is_now_ready(&self, host: &HostName, user: Option<&str>, keep: &Keep) {
        locked(&self.ready).insert(keeper(host, user, keep));
    }

    /// Whether a host is ready to keep something.
    pub(crate) fn is_ready(&self, host: &HostName, user: Option<&str>, keep: &Keep) -> bool {
        locked(&self.ready).contains(&keeper(host, user, keep))
    }

    /// Notes a job that is yet to be done.
    fn expect(&self, job: &PreparedJob) {
        let mut left = locked(&self.left);
        for host in job.hosts.iter().collect::<HashSet<_>>() {
            *left.entry(host.clone()).or_default() += 1;
        }
    }

    /// Notes that a job came to a good end. Gives the hosts on which all have that this run still has for them: nothing that
    /// they keep will be asked for.
    pub(crate) fn succeeded(&self, job: &PreparedJob) -> HashSet<HostName> {
        let mut left = locked(&self.left);
        let mut done = HashSet::new();
        for host in job.hosts.iter().collect::<HashSet<_>>() {
            if let Some(left) = left.get_mut(host) {
                *left -= 1;
                if *left == 0 {
                    done.insert(host.clone());
                }
            }
        }
        done
    }

    /// What is kept on a host by somebody, no longer noted here.
    pub(crate) fn take_from(&self, host: &HostName, user: Option<&str>) -> Vec<Keep> {
        let mut taken = Vec::new();
        locked(&self.all).retain(|(of, who, _), keep| {
            let is_his = (of, who.as_deref()) == (host, user);
            if is_his {
                taken.push(keep.clone());
            }
            !is_his
        });
        taken
    }

    /// Everything stays where it is.
    pub(crate) fn stay(&self) {
        self.stays.store(true, Ordering::Relaxed);
    }

    fn take(&self) -> HashMap<Keeper, Keep> {
        match self.stays.load(Ordering::Relaxed) {
            true => HashMap::new(),
            false => std::mem::take(&mut *locked(&self.all)),
        }
    }
}

/// Notes what is to be done, and the hosts that kept something before the run was resumed, of which nothing more may be sent there.
pub(crate) fn remember(shared: &Shared, prepared: &Prepared) {
    let resume = shared.options.resume.as_ref();
    let jobs = prepared.stages.iter().flat_map(|stage| &stage.jobs);
    for job in jobs.filter(|job| !resume.is_some_and(|r| r.is_done(job))) {
        shared.kept.expect(job);
    }
    let Some(resume) = resume else {
        return;
    };
    let is_kept =
        |task: &&PreparedTask| task.code.repeat() != Repeat::Safe && resume.attempts(task.id) > 0;
    for task in prepared.tasks().filter(is_kept) {
        let user = task.user.as_deref().or(shared.options.user.as_deref());
        let keep = Keep {
            run: shared.options.run.clone(),
            host: task.host.clone(),
            attempt: 1,
            user: if task.use_sudo { As::root() } else { As::Login },
            from: 0,
        };
        let user = user.filter(|_| !task.host.is_local());
        shared.kept.add(&task.host, user, &keep);
    }
}

fn keeper(host: &HostName, user: Option<&str>, keep: &Keep) -> Keeper {
    (host.clone(), user.map(str::to_owned), keep.user.clone())
}

fn locked<T>(what: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has every host that keeps something of the run remove it. That one cannot is no fault of the run.
pub(crate) async fn forget(shared: &Shared) {
    let hosts = &shared.options.hosts;
    let cleaning = shared
        .kept
        .take()
        .into_iter()
        .map(|((host, user, _), keep)| async move {
            let mut talk = hosts.converse(&host, user.as_deref()).await?;
            talk.forget(&keep).await?;
            talk.close().await;
            Ok::<(), HostError>(())
        });
    let cleaned = futures_util::stream::iter(cleaning.collect::<Vec<_>>())
        .buffer_unordered(AT_ONCE)
        .for_each(|_| std::future::ready(()));
    let _ = tokio::time::timeout(CLEAN, cleaned).await;
}
