//! Worlds that are wrong in one way each: what shows that a law can be broken, and that it is noticed.

use windlass_model::release::{Effect, End, JobState, Phase, Whole};

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// The store takes a request that came again for a new one.
    ForgetsRequests,
    /// The store leaves a number out.
    SkipsNumbers,
    /// The store gives a lock that another has.
    IgnoresLocks,
    /// The store never takes a lock back.
    KeepsLocks,
    /// The store overwrites a release.
    ChangesReleases,
    /// The store says of some changes that they are made, and makes none.
    ForgetsChanges,
    /// A lease does not count.
    EpochsStand,
    /// An installer that is lost counts as one that succeeded.
    SilentSuccess,
    /// The time to begin begins with the first job, whatever has happened since.
    PlansDeadlines,
    /// What is unknown does not say what to look at.
    NamelessUnknown,
    /// A job that ended ends otherwise when it is taken back.
    EndsChange,
    /// What happens is not written down.
    KeepsNoHistory,
    /// Nobody hears that a rollback is owed.
    OwesNothing,
    /// An agent begins without a yes.
    BeginsUnasked,
    /// An installer asks no fence.
    AsksNoFence,
    /// An installer says of what was cut off that it was never begun.
    DeniesWork,
    /// An installer that failed says that it succeeded.
    HidesFailure,
    /// An installer writes in place.
    WritesInPlace,
}

impl Flaw {
    /// Each with the law that it breaks.
    pub(crate) const ALL: [(Self, &'static [&'static str]); 18] = [
        (Self::ForgetsRequests, &["one request is one transaction"]),
        (Self::SkipsNumbers, &["numbers have no gaps"]),
        (Self::IgnoresLocks, &["one transaction installs at a time"]),
        (Self::KeepsLocks, &["what is over holds no lock"]),
        (Self::ChangesReleases, &["a release does not change"]),
        (Self::ForgetsChanges, &["what was acknowledged is kept"]),
        (
            Self::EpochsStand,
            &["epochs grow", "an epoch is begun once"],
        ),
        (Self::SilentSuccess, &["done means done"]),
        (
            Self::PlansDeadlines,
            &["a deadline begins when it can be met"],
        ),
        (Self::NamelessUnknown, &["an end says why"]),
        (Self::EndsChange, &["ends stay"]),
        (Self::KeepsNoHistory, &["what changes is told"]),
        (Self::OwesNothing, &["a failure is taken back"]),
        (Self::BeginsUnasked, &["only a yes gives the right"]),
        (Self::AsksNoFence, &["the fence holds"]),
        (Self::DeniesWork, &["what was begun is not begun again"]),
        (Self::HidesFailure, &["done means done"]),
        (Self::WritesInPlace, &["visible whole or not at all"]),
    ];

    /// Does to a change what is wrong with the store; true: it is not made at all, and nobody is told.
    pub(crate) fn spoils(
        self,
        before: &Whole,
        after: &mut Whole,
        effects: &mut Vec<Effect>,
        count: u64,
    ) -> bool {
        match self {
            Self::ForgetsChanges => return count.is_multiple_of(7),
            Self::KeepsLocks => effects.retain(|effect| *effect != Effect::Unlock),
            Self::KeepsNoHistory => {
                effects.retain(|effect| !matches!(effect, Effect::History { .. }));
            }
            Self::OwesNothing => effects.retain(|effect| {
                !matches!(effect, Effect::History { what, .. } if *what == "rollback owed")
            }),
            Self::PlansDeadlines => {
                let first = after.jobs.iter().find_map(|job| job.deadline);
                for job in &mut after.jobs {
                    let was = before.job(&job.id).and_then(|was| was.deadline);
                    job.deadline = was.or(job.deadline).or(first);
                }
            }
            Self::EpochsStand => {
                for (job, was) in after.jobs.iter_mut().zip(&before.jobs) {
                    job.epoch = if was.epoch > 0 { was.epoch } else { job.epoch };
                }
            }
            Self::SilentSuccess => {
                let lost = |job: &&mut windlass_model::release::Job| job.state == JobState::Unknown;
                let mut any = false;
                for job in after.jobs.iter_mut().filter(lost) {
                    job.state = JobState::Done;
                    any = true;
                }
                let transaction = &mut after.transaction;
                if any && transaction.phase == Phase::Ended {
                    (transaction.end, transaction.why) = (Some(End::Done), None);
                }
            }
            Self::ChangesReleases => {
                for effect in effects {
                    if let Effect::Release { index } = effect
                        && let Some((plain, _)) = index.version.clone().as_str().split_once('+')
                    {
                        index.version = plain.parse().unwrap();
                        after.transaction.release = Some(index.release());
                    }
                }
            }
            Self::NamelessUnknown if after.transaction.end == Some(End::Unknown) => {
                after.transaction.why = Some("something went wrong".into());
            }
            Self::EndsChange if after.transaction.cancelled => {
                for job in &mut after.jobs {
                    if job.state == JobState::Done {
                        job.state = JobState::Cancelled;
                    }
                }
            }
            _ => {}
        }
        false
    }
}
