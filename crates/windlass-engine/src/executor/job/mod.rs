//! One job: the tasks of a chain in order, in one conversation a host, the next sent ahead where that is safe.

mod ahead;
mod end;
mod flight;
mod forget;
mod hold;
mod past;
mod perform;
mod plugin;
mod recall;
mod talk;
mod trace;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::time::Instant;
use windlass_model::event::What;
use windlass_model::outcome::{Failure, FailureKind, Outcome};
use windlass_model::step::Level;

use super::health::Admitted;
use super::prepare::{PreparedJob, PreparedTask, panic_text};
use super::{JobEnd, Shared, task_ref};
use crate::command::{Turn, Verdict};
use crate::host::{Conversation, Keep};
use end::Next;
use flight::{Broken, Flight};
pub(crate) use flight::{Target, rights, target_of, user_of, with_rights};

/// Runs a job to its end.
///
/// `stops_at` interrupts keep it from beginning.
pub(crate) async fn run(job: Arc<PreparedJob>, shared: Arc<Shared>, stops_at: u8) -> JobEnd {
    let mut run = JobRun {
        job: &job,
        shared: &shared,
        talks: HashMap::new(),
        flights: VecDeque::new(),
        opened: BTreeSet::new(),
        sent: false,
        finished: 0,
        maybe_begun: HashMap::new(),
        left_unknown: false,
        stops_at,
        admitted: None,
    };
    run.take_over();
    let end = match AssertUnwindSafe(run.run()).catch_unwind().await {
        Ok(end) => end,
        Err(panic) => {
            let why = panic_text(&*panic).to_owned();
            run.panicked(why).await
        }
    };
    if end == JobEnd::Succeeded {
        run.forget().await;
    }
    for (_, talk) in run.talks.drain() {
        talk.close().await;
    }
    let may_be_out = end != JobEnd::Succeeded && (run.sent || run.began_before());
    if let Some(admitted) = run.admitted.take().filter(|_| !may_be_out) {
        admitted.give_back();
    }
    match end {
        JobEnd::Failed if run.left_unknown => JobEnd::Unknown,
        end => end,
    }
}

struct JobRun<'a> {
    job: &'a PreparedJob,
    shared: &'a Shared,
    talks: HashMap<Target, Box<dyn Conversation>>,
    /// Tasks that were sent, in order; the front one is being heard.
    flights: VecDeque<Flight>,
    /// What this job opened and did not close.
    opened: BTreeSet<String>,
    /// Whether any of its tasks may have had an effect.
    sent: bool,
    /// How many tasks have their outcome; they get them in order.
    finished: usize,
    /// Tasks that are kept on the host and were sent along with one whose link was lost: it may have begun them.
    maybe_begun: HashMap<usize, Keep>,
    /// Whether a task that was in flight when the run was resumed was not looked at.
    left_unknown: bool,
    /// How many interrupts keep it from beginning.
    stops_at: u8,
    /// Held while it takes hosts of watched services out.
    admitted: Option<Admitted<'a>>,
}

impl JobRun<'_> {
    fn task(&self, index: usize) -> Option<&PreparedTask> {
        self.job.tasks.get(index)
    }

    async fn emit(&self, what: What) {
        self.shared.options.events.send(what).await;
    }

    /// Whether the operator wants everything ended: nothing new is begun then.
    fn is_over(&self) -> bool {
        self.shared.options.interrupt.times() >= 2
    }

    async fn run(&mut self) -> JobEnd {
        if self.is_over() {
            self.not_run(0, "interrupted").await;
            return JobEnd::Failed;
        }
        let before = match self.standing().await {
            Ok(standing) => standing,
            Err(failure) => {
                return self.not_asked(failure).await;
            }
        };
        if let Some(failure) = self.overtaken(before.as_ref()) {
            return self.not_asked(failure).await;
        }
        if let (Some(standing), Some(plan)) = (&before, &self.job.receipt)
            && !plan.redeploy
            && !self.began_before()
            && standing.runs(&plan.service) == Some(plan.version.as_str())
        {
            let why = format!("{} {} already runs here", plan.service, plan.version);
            for index in 0..self.job.tasks.len() {
                self.finish_unbegun(index, Outcome::Skipped(why.clone()))
                    .await;
            }
            return JobEnd::Succeeded;
        }
        if let Err(failure) = self.admit().await {
            if failure.kind == FailureKind::Interrupted {
                self.not_run(0, "interrupted").await;
                return JobEnd::Failed;
            }
            return self.not_asked(failure).await;
        }
        let end = match AssertUnwindSafe(self.chain()).catch_unwind().await {
            Ok(end) => end,
            Err(panic) => {
                let why = panic_text(&*panic).to_owned();
                self.panicked(why).await
            }
        };
        if !self.sent && !self.began_before() && end != JobEnd::Succeeded {
            // Nothing was begun: what the last receipt says is still so.
            return end;
        }
        match (self.leave_receipt(end, before).await, end) {
            (false, JobEnd::Succeeded) => JobEnd::Failed,
            _ => end,
        }
    }

    /// Waits until enough hosts are healthy for it to take its own out.
    async fn admit(&mut self) -> Result<(), Failure> {
        let shared: &Shared = self.shared;
        if !self.job.takes_out.is_empty() {
            let watch = &shared.watch;
            watch
                .admit(self.job, &shared.options, self.stops_at)
                .await?;
            self.admitted = Some(Admitted::new(watch, self.job));
        }
        Ok(())
    }

    async fn chain(&mut self) -> JobEnd {
        let mut next = 0;
        let mut attempt = 1;
        loop {
            if self.flights.is_empty() {
                if attempt == 1 {
                    self.pass_over_done(&mut next);
                }
                let Some(flight) = self.flight(next, attempt) else {
                    return JobEnd::Succeeded;
                };
                if self.is_over() && attempt == 1 {
                    self.not_run(next, "interrupted").await;
                    return JobEnd::Failed;
                }
                self.flights.push_back(flight);
                next += 1;
            }
            let came = match self.settled(attempt).await {
                Some(verdict) => Ok(verdict),
                None => self.front_to_its_end(&mut next).await,
            };
            let verdict = match came {
                Ok(verdict) => verdict,
                Err(Broken::Failed(failure)) => Outcome::from(failure).into(),
                Err(Broken::Lost(error)) => {
                    // What was sent along is gone with the link; whatever goes on sends it again.
                    let along = self.flights.drain(1..);
                    self.maybe_begun
                        .extend(along.filter_map(|f| Some((f.index, f.keep?))));
                    next = self.flights.front().map_or(next, |f| f.index + 1);
                    if let Some(front) = self.flights.front_mut() {
                        front.guarded = false;
                    }
                    match self.settle(error).await {
                        Some(verdict) => verdict,
                        None => continue,
                    }
                }
            };
            let Some(flight) = self.flights.pop_front() else {
                return JobEnd::Failed;
            };
            let index = flight.index;
            attempt = (flight.attempt - self.attempts_before(index)).max(1);
            let ran_on = self.call_back(&flight, &verdict, &mut next).await;
            match self.ended(flight, verdict).await {
                Next::GoOn => attempt = 1,
                Next::Again => {
                    next = index;
                    attempt += 1;
                }
                Next::Stop(end) => {
                    self.ran_on(index + 1..ran_on).await;
                    let rest = ran_on.max(index + 1);
                    self.not_run(rest, "an earlier task of the chain failed")
                        .await;
                    return if rest > index + 1 {
                        JobEnd::Unknown
                    } else {
                        end
                    };
                }
            }
        }
    }

    /// Takes the front task from wherever it stands to its end.
    async fn front_to_its_end(&mut self, next: &mut usize) -> Result<Verdict, Broken> {
        self.begin_front().await;
        let Some(front) = self.flights.front_mut() else {
            return Err(Failure::new(FailureKind::Panic, "no task is under way").into());
        };
        if !front.pending.is_empty() {
            let along = front.last.then_some(&mut *next);
            self.perform_pending(along).await?;
        }
        loop {
            let turn = self.turn()?;
            if let Turn::End(verdict) = turn {
                return Ok(verdict);
            }
            if self.flights.front().is_some_and(|f| f.last) {
                // What was sent along would answer in its place.
                let defect = "the command went on after its last turn";
                return Err(Failure::new(FailureKind::Panic, defect).into());
            }
            match turn {
                Turn::End(verdict) => return Ok(verdict),
                Turn::Do(steps) => self.perform(steps, None).await?,
                Turn::Last(steps) => {
                    if let Some(front) = self.flights.front_mut() {
                        front.last = true;
                    }
                    self.perform(steps, Some(next)).await?;
                }
                Turn::Wait { delay, steps, say } => {
                    if let Some(message) = say {
                        self.say(Level::Info, &message).await;
                    }
                    self.pause(delay).await?;
                    self.perform(steps, None).await?;
                }
                Turn::Call(call) => self.call_plugin(call).await?,
            }
        }
    }

    fn turn(&self) -> Result<Turn, Failure> {
        let nothing = || Failure::new(FailureKind::Panic, "no task is under way");
        let front = self.flights.front().ok_or_else(nothing)?;
        let task = self.task(front.index).ok_or_else(nothing)?;
        catch_unwind(AssertUnwindSafe(|| {
            task.code.turn(&front.facts, &front.seen)
        }))
        .map_err(|panic| Failure::new(FailureKind::Panic, panic_text(&*panic)))
    }

    async fn begin_front(&mut self) {
        let Some(front) = self.flights.front_mut() else {
            return;
        };
        if front.began.is_some() {
            return;
        }
        front.began = Some(Instant::now());
        let (index, attempt) = (front.index, front.attempt);
        if let Some(task) = self.task(index) {
            let task = task_ref(task);
            self.emit(What::TaskStarted { task, attempt }).await;
        }
    }
}
