//! One job: the tasks of a chain in order, in one conversation a host, the next sent ahead where that is safe.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use windlass_model::event::What;
use windlass_model::ids::HostName;
use windlass_model::outcome::{Failure, FailureKind, Outcome};
use windlass_model::receipt::Receipt;
use windlass_model::step::{As, Level, Reply, Run, Say, Step, Via};

use super::lines::Lines;
use super::prepare::{PreparedJob, PreparedTask, panic_text};
use super::{JobEnd, Shared, receipts, task_ref};
use crate::command::{Facts, Hands, PluginCall, Repeat, Seen, Turn, Verdict};
use crate::host::{Batch, Conversation, Heard, HostError, HostErrorKind};

/// Tasks sent ahead at most.
const AHEAD: usize = 256;
/// Seconds that the executor's own questions (receipts, checks) may take.
const QUESTION: Duration = Duration::from_secs(60);

/// A host as somebody.
type Target = (HostName, Option<String>);

/// Runs a job to its end.
pub(crate) async fn run(job: Arc<PreparedJob>, shared: Arc<Shared>) -> JobEnd {
    let mut run = JobRun {
        job: &job,
        shared: &shared,
        talks: HashMap::new(),
        flights: VecDeque::new(),
        opened: BTreeSet::new(),
    };
    let end = run.run().await;
    for (_, talk) in run.talks.drain() {
        talk.close().await;
    }
    end
}

struct JobRun<'a> {
    job: &'a PreparedJob,
    shared: &'a Shared,
    talks: HashMap<Target, Box<dyn Conversation>>,
    /// Tasks that were sent, in order; the front one is being heard.
    flights: VecDeque<Flight>,
    /// What this job opened and did not close.
    opened: BTreeSet<String>,
}

/// A task under way.
struct Flight {
    /// Which of the chain's tasks.
    index: usize,
    attempt: u32,
    facts: Facts,
    seen: Vec<Seen>,
    /// Steps that were sent ahead and are not heard yet.
    ahead: Option<Vec<Step>>,
    /// Whether it may have had an effect.
    sent: bool,
    began: Option<Instant>,
    lines: Lines,
}

/// Why a task's steps did not come to their replies.
enum Broken {
    /// A verdict that stands.
    Verdict(Verdict),
    /// The link was lost after sending.
    Lost(HostError),
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Verdict(Outcome::from(failure).into())
    }
}

impl JobRun<'_> {
    fn task(&self, index: usize) -> Option<&PreparedTask> {
        self.job.tasks.get(index)
    }

    async fn emit(&self, what: What) {
        self.shared.options.events.send(what).await;
    }

    async fn run(&mut self) -> JobEnd {
        let before = match self.standing().await {
            Ok(standing) => standing,
            Err(failure) => {
                let end = self.finish_unbegun(0, failure.into()).await;
                self.not_run(1, "an earlier task of the chain failed").await;
                return end;
            }
        };
        if let (Some(standing), Some(plan)) = (&before, &self.job.receipt)
            && !plan.redeploy
            && standing.runs(&plan.service) == Some(plan.version.as_str())
        {
            let why = format!("{} {} already runs here", plan.service, plan.version);
            for index in 0..self.job.tasks.len() {
                self.finish_unbegun(index, Outcome::Skipped(why.clone()))
                    .await;
            }
            return JobEnd::Succeeded;
        }
        let end = self.chain().await;
        let from = before.and_then(|b| {
            let service = &self.job.receipt.as_ref()?.service;
            b.linked(service).map(str::to_owned)
        });
        if self.leave_receipt(end, from).await {
            end
        } else {
            JobEnd::Failed
        }
    }

    async fn chain(&mut self) -> JobEnd {
        let mut next = 0;
        let mut attempt = 1;
        loop {
            if self.flights.is_empty() {
                let Some(flight) = self.flight(next, attempt) else {
                    return JobEnd::Succeeded;
                };
                self.flights.push_back(flight);
                next += 1;
            }
            let verdict = match self.front_to_its_end(&mut next).await {
                Ok(verdict) | Err(Broken::Verdict(verdict)) => verdict,
                Err(Broken::Lost(error)) => self.settle(error).await,
            };
            let Some(flight) = self.flights.pop_front() else {
                return JobEnd::Failed;
            };
            let index = flight.index;
            attempt = flight.attempt;
            match self.ended(flight, verdict).await {
                Next::GoOn => attempt = 1,
                Next::Again => {
                    self.flights.clear();
                    next = index;
                    attempt += 1;
                }
                Next::Stop(end) => {
                    self.flights.clear();
                    self.not_run(index + 1, "an earlier task of the chain failed")
                        .await;
                    return end;
                }
            }
        }
    }

    fn flight(&self, index: usize, attempt: u32) -> Option<Flight> {
        let task = self.task(index)?;
        Some(Flight {
            index,
            attempt,
            facts: Facts {
                run: self.shared.options.run.clone(),
                task: task.id,
                host: task.host.clone(),
                now: crate::events::now_micros() / 1_000_000,
                user: rights(task),
            },
            seen: Vec::new(),
            ahead: None,
            sent: false,
            began: None,
            lines: Lines::default(),
        })
    }

    /// Takes the front task from wherever it stands to its end.
    async fn front_to_its_end(&mut self, next: &mut usize) -> Result<Verdict, Broken> {
        self.begin_front().await;
        let Some(front) = self.flights.front_mut() else {
            return Err(Failure::new(FailureKind::Panic, "no task is under way").into());
        };
        if let Some(steps) = front.ahead.take() {
            let index = front.index;
            if let Some(task) = self.job.tasks.get(index) {
                let target = (task.host.clone(), self.user_of(task));
                self.hear_replies(&target, &steps).await?;
            }
        }
        loop {
            match self.turn()? {
                Turn::End(verdict) => return Ok(verdict),
                Turn::Do(steps) => self.perform(steps, None).await?,
                Turn::Last(steps) => self.perform(steps, Some(next)).await?,
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

    /// Does steps in order, those of one host together; stops at the first reply that is not wanted. With `next` the
    /// tasks that follow may be sent along.
    async fn perform(&mut self, steps: Vec<Step>, next: Option<&mut usize>) -> Result<(), Broken> {
        let Some(task) = self.flights.front().and_then(|f| self.task(f.index)) else {
            return Ok(());
        };
        let home = (task.host.clone(), self.user_of(task));
        let rights = rights(task);
        let alone = steps.iter().all(|s| matches!(s, Step::Run(_)));
        let mut next = next.filter(|_| alone);
        let mut steps: VecDeque<Step> =
            steps.into_iter().map(|s| with_rights(s, &rights)).collect();
        if steps.is_empty() {
            return Err(Failure::new(FailureKind::Panic, "the command asked for no step").into());
        }
        while let Some(first) = steps.pop_front() {
            if let Step::Log(say) = first {
                self.log_step(&say).await;
                self.replied(Reply::Logged);
                continue;
            }
            let target = target_of(&first, &home);
            let mut batch = vec![first];
            while let Some(step) = steps.pop_front() {
                if matches!(step, Step::Log(_)) || target_of(&step, &home) != target {
                    steps.push_front(step);
                    break;
                }
                batch.push(step);
            }
            self.send(&target, batch.clone(), false).await?;
            if let Some(next) = next.as_deref_mut() {
                self.send_ahead(&target, next).await?;
            }
            next = None;
            if !self.hear_replies(&target, &batch).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Sends steps of the last flight. What it opens is owed from here on.
    async fn send(&mut self, target: &Target, steps: Vec<Step>, ahead: bool) -> Result<(), Broken> {
        let Some(flight) = self.flights.back() else {
            return Ok(());
        };
        let (index, attempt, first) = (flight.index, flight.attempt, !flight.sent);
        let Some(task) = self.job.tasks.get(index) else {
            return Ok(());
        };
        let batch = Batch {
            task: task.id,
            steps,
            ahead,
        };
        if let Err(error) = self.open(target).await {
            return Err(Failure::from(error).into());
        }
        if first {
            let name = task_ref(task);
            self.emit(What::TaskSent {
                task: name.clone(),
                attempt,
            })
            .await;
            for key in task.code.owes().opens {
                self.opened.insert(key.clone());
                if let Ok(mut owed) = self.shared.owed.lock() {
                    owed.insert(key.clone());
                }
                self.emit(What::Owed {
                    task: name.clone(),
                    key,
                    open: true,
                })
                .await;
            }
        }
        if let Some(flight) = self.flights.back_mut() {
            flight.sent = true;
        }
        let Some(talk) = self.talks.get_mut(target) else {
            return Ok(());
        };
        if let Err(error) = talk.send(batch, &self.shared.options.secrets).await {
            self.talks.remove(target);
            return Err(broken(error));
        }
        Ok(())
    }

    /// Sends the tasks that follow along with the one that was just sent, as far as the rule allows.
    async fn send_ahead(&mut self, target: &Target, next: &mut usize) -> Result<(), Broken> {
        while self.flights.len() < AHEAD {
            let Some(current) = self.flights.back().and_then(|f| self.task(f.index)) else {
                break;
            };
            let Some(task) = self.task(*next) else { break };
            let together = (&task.host, &self.user_of(task)) == (&target.0, &target.1)
                && rights(task) == rights(current)
                && task.code.repeat() == Repeat::Safe
                && current.code.repeat() == Repeat::Safe;
            if !together {
                break;
            }
            let Some(mut flight) = self.flight(*next, 1) else {
                break;
            };
            let Ok(turn) = catch_unwind(AssertUnwindSafe(|| task.code.turn(&flight.facts, &[])))
            else {
                break;
            };
            let (steps, last) = match turn {
                Turn::Do(steps) => (steps, false),
                Turn::Last(steps) => (steps, true),
                _ => break,
            };
            let rights = rights(task);
            let steps: Vec<Step> = steps.into_iter().map(|s| with_rights(s, &rights)).collect();
            let same_shell = |s: &Step| matches!(s, Step::Run(run) if run.user == rights);
            if steps.is_empty() || !steps.iter().all(same_shell) {
                break;
            }
            flight.ahead = Some(steps.clone());
            self.flights.push_back(flight);
            *next += 1;
            self.send(target, steps, true).await?;
            if !last {
                break;
            }
        }
        Ok(())
    }

    /// Hears the replies to steps that were sent; false when one was not wanted.
    async fn hear_replies(&mut self, target: &Target, steps: &[Step]) -> Result<bool, Broken> {
        for step in steps {
            let reply = loop {
                match self.hear(target).await? {
                    Heard::Reply(_, reply) => break reply,
                    Heard::Begun(_) => {}
                    Heard::Output(_, stream, bytes) => {
                        let Some(front) = self.flights.front_mut() else {
                            continue;
                        };
                        let lines = front.lines.push(stream, &bytes);
                        let Some(task) = self.flights.front().and_then(|f| self.task(f.index))
                        else {
                            continue;
                        };
                        let task = task_ref(task);
                        for line in lines {
                            self.emit(What::Output {
                                task: task.clone(),
                                stream,
                                line,
                            })
                            .await;
                        }
                    }
                    Heard::Progress(_, done, total) => {
                        let Some(task) = self.flights.front().and_then(|f| self.task(f.index))
                        else {
                            continue;
                        };
                        let task = task_ref(task);
                        self.emit(What::Progress { task, done, total }).await;
                    }
                }
            };
            let wanted = reply.is_wanted(step);
            self.replied(reply);
            if !wanted {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn replied(&mut self, reply: Reply) {
        if let Some(front) = self.flights.front_mut() {
            let at = front.began.map_or(Duration::ZERO, |b| b.elapsed());
            front.seen.push(Seen { reply, at });
        }
    }

    /// The next thing heard, within the front task's time limit and unless the operator stops everything.
    async fn hear(&mut self, target: &Target) -> Result<Heard, Broken> {
        let limit = self.front_limit();
        let mut interrupt = self.shared.options.interrupt.clone();
        let Some(talk) = self.talks.get_mut(target) else {
            return Err(broken(HostError::new(
                HostErrorKind::Lost,
                "the conversation is over",
            )));
        };
        let failure = tokio::select! {
            heard = talk.hear() => match heard {
                Ok(heard) => return Ok(heard),
                Err(error) => {
                    self.talks.remove(target);
                    return Err(broken(error));
                }
            },
            failure = out_of_time(limit) => failure,
            () = interrupt.reached(2) => interrupted(),
        };
        talk.kill().await;
        self.talks.remove(target);
        Err(failure.into())
    }

    /// When the front task's time is over, and how long its limit is.
    fn front_limit(&self) -> Option<(Instant, u64)> {
        let front = self.flights.front()?;
        let seconds = self.task(front.index)?.time_limit?;
        Some((front.began? + Duration::from_secs(seconds), seconds))
    }

    async fn pause(&self, delay: Duration) -> Result<(), Broken> {
        let mut interrupt = self.shared.options.interrupt.clone();
        tokio::select! {
            () = tokio::time::sleep(delay) => Ok(()),
            failure = out_of_time(self.front_limit()) => Err(failure.into()),
            () = interrupt.reached(2) => Err(interrupted().into()),
        }
    }

    async fn open(&mut self, target: &Target) -> Result<(), HostError> {
        if !self.talks.contains_key(target) {
            let mut interrupt = self.shared.options.interrupt.clone();
            let talk = tokio::select! {
                talk = self.shared.options.hosts.converse(&target.0, target.1.as_deref()) => talk?,
                () = interrupt.reached(2) => {
                    return Err(HostError::new(HostErrorKind::Unreachable, "interrupted while connecting"));
                }
            };
            self.talks.insert(target.clone(), talk);
        }
        Ok(())
    }

    fn user_of(&self, task: &PreparedTask) -> Option<String> {
        if task.host.is_local() {
            return None;
        }
        task.user
            .clone()
            .or_else(|| self.shared.options.user.clone())
    }

    async fn call_plugin(&mut self, call: Arc<dyn PluginCall>) -> Result<(), Broken> {
        let limit = self.front_limit();
        let mut interrupt = self.shared.options.interrupt.clone();
        if let Some(front) = self.flights.front_mut() {
            front.sent = true;
        }
        let mut hands = JobHands { run: self };
        let done = tokio::select! {
            done = call.call(&mut hands) => done,
            failure = out_of_time(limit) => Err(failure),
            () = interrupt.reached(2) => Err(interrupted()),
        };
        match done {
            Ok(reply) => {
                self.replied(reply);
                Ok(())
            }
            Err(failure) => {
                for (_, mut talk) in self.talks.drain() {
                    talk.kill().await;
                }
                Err(failure.into())
            }
        }
    }

    async fn log_step(&self, say: &Say) {
        self.say(say.level, &say.message.to_string()).await;
    }

    async fn say(&self, level: Level, message: &str) {
        let Some(task) = self.flights.front().and_then(|f| self.task(f.index)) else {
            return;
        };
        self.emit(What::Log {
            level,
            component: task.component.to_string(),
            host: Some(task.host.clone()),
            tag: task.tag.clone(),
            message: message.to_owned(),
        })
        .await;
    }

    /// What came of the front task, whose link was lost: its check tells, or nobody knows.
    async fn settle(&mut self, error: HostError) -> Verdict {
        let Some((task, facts)) = self
            .flights
            .front()
            .and_then(|f| Some((self.job.tasks.get(f.index)?, f.facts.clone())))
        else {
            return Outcome::Unknown(error.message).into();
        };
        let target = (task.host.clone(), self.user_of(task));
        if let Some(check) = task.code.check(&facts) {
            let rights = rights(task);
            let mut done = true;
            for step in check {
                let step = with_rights(step, &rights);
                match self.ask(&target, step.clone()).await {
                    Ok(reply) => done &= reply.is_wanted(&step),
                    Err(failure) => {
                        let why = format!(
                            "{}; asking for its effect failed too: {failure}",
                            error.message
                        );
                        return Outcome::Unknown(why).into();
                    }
                }
            }
            return match done {
                true => Outcome::Changed.into(),
                false => Outcome::from(Failure::new(
                    FailureKind::LinkLost,
                    format!("{}; a check found that it was not done", error.message),
                ))
                .into(),
            };
        }
        let hint = match task.code.repeat() {
            Repeat::Safe => "it is safe to run it again",
            _ => "look at the host before you run it again",
        };
        Outcome::Unknown(format!("{}; {hint}", error.message)).into()
    }

    /// Reports an ended task and says how the chain goes on.
    async fn ended(&mut self, mut flight: Flight, verdict: Verdict) -> Next {
        let Some(task) = self.job.tasks.get(flight.index) else {
            return Next::Stop(JobEnd::Failed);
        };
        let name = task_ref(task);
        for (stream, line) in flight.lines.rest() {
            self.emit(What::Output {
                task: name.clone(),
                stream,
                line,
            })
            .await;
        }
        let Verdict { outcome, output } = verdict;
        let may_retry = match &outcome {
            Outcome::Failed(failure) => {
                !matches!(failure.kind, FailureKind::Interrupted | FailureKind::Panic)
            }
            Outcome::Unknown(_) => task.code.repeat() == Repeat::Safe,
            _ => false,
        };
        if may_retry && flight.attempt <= task.retries && self.shared.options.interrupt.times() < 2
        {
            let delay = task.retry_delay;
            let attempt = flight.attempt;
            self.emit(What::TaskRetried {
                task: name,
                attempt,
                outcome,
                delay,
            })
            .await;
            let mut interrupt = self.shared.options.interrupt.clone();
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(u64::from(delay))) => {}
                () = interrupt.reached(2) => {}
            }
            return Next::Again;
        }
        let millis = flight.began.map_or(0, |b| b.elapsed().as_millis() as u64);
        let next = match &outcome {
            outcome if outcome.lets_go_on() => Next::GoOn,
            Outcome::Unknown(_) => Next::Stop(JobEnd::Unknown),
            _ => Next::Stop(JobEnd::Failed),
        };
        let going_on = matches!(next, Next::GoOn);
        let output = output.or_else(|| flight.lines.tail());
        self.emit(What::TaskFinished {
            task: name.clone(),
            outcome,
            output,
            millis,
        })
        .await;
        if going_on {
            for key in task.code.owes().closes {
                self.opened.remove(&key);
                let was_open = self
                    .shared
                    .owed
                    .lock()
                    .is_ok_and(|mut owed| owed.remove(&key));
                if was_open {
                    self.emit(What::Owed {
                        task: name.clone(),
                        key,
                        open: false,
                    })
                    .await;
                }
            }
        }
        next
    }

    async fn finish_unbegun(&self, index: usize, outcome: Outcome) -> JobEnd {
        if let Some(task) = self.task(index) {
            self.emit(What::TaskFinished {
                task: task_ref(task),
                outcome,
                output: None,
                millis: 0,
            })
            .await;
        }
        JobEnd::Failed
    }

    async fn not_run(&self, from: usize, why: &str) {
        for index in from..self.job.tasks.len() {
            self.finish_unbegun(index, Outcome::NotRun(why.to_owned()))
                .await;
        }
    }

    /// A question of the executor's own: its output is nobody's.
    async fn ask(&mut self, target: &Target, step: Step) -> Result<Reply, Failure> {
        let task = self
            .job
            .tasks
            .first()
            .map(|t| t.id)
            .unwrap_or(windlass_model::TaskId::new(0, 0, 0));
        self.open(target).await?;
        let secrets = self.shared.options.secrets.clone();
        let Some(talk) = self.talks.get_mut(target) else {
            return Err(Failure::new(
                FailureKind::LinkLost,
                "the conversation is over",
            ));
        };
        let batch = Batch {
            task,
            steps: vec![step],
            ahead: false,
        };
        let asked = async {
            talk.send(batch, &secrets).await?;
            loop {
                if let Heard::Reply(_, reply) = talk.hear().await? {
                    return Ok(reply);
                }
            }
        };
        let answer: Result<Reply, HostError> = match tokio::time::timeout(QUESTION, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(HostError::new(
                HostErrorKind::Lost,
                format!("no answer within {} s", QUESTION.as_secs()),
            )),
        };
        if answer.is_err() {
            self.talks.remove(target);
        }
        answer.map_err(Failure::from)
    }

    /// Where the job's service stands on its host, if the job leaves a receipt.
    async fn standing(&mut self) -> Result<Option<receipts::Standing>, Failure> {
        let (Some(plan), Some(task)) = (&self.job.receipt, self.job.tasks.first()) else {
            return Ok(None);
        };
        let target = (task.host.clone(), self.user_of(task));
        let probe =
            receipts::probe_script([(plan.install_location.as_str(), plan.service.as_str())]);
        match self.ask(&target, probe.into()).await? {
            Reply::Ran { stdout, .. } => Ok(receipts::read_probe(&stdout).remove(&plan.service)),
            _ => Ok(None),
        }
    }

    /// Leaves the receipt of the job; false when that failed.
    async fn leave_receipt(&mut self, end: JobEnd, from: Option<String>) -> bool {
        let (Some(plan), Some(task)) = (&self.job.receipt, self.job.tasks.first()) else {
            return true;
        };
        let receipt = Receipt {
            service: plan.service.clone(),
            time: crate::events::now_micros() / 1_000_000,
            run: self.shared.options.run.to_string(),
            by: self.shared.options.by.clone(),
            from: from.or_else(|| plan.from.clone()),
            to: plan.version.clone(),
            result: match end {
                JobEnd::Succeeded => "succeeded",
                JobEnd::Failed => "failed",
                JobEnd::Unknown => "unknown",
            }
            .to_owned(),
            owed: self.opened.iter().cloned().collect(),
        };
        let target = (task.host.clone(), self.user_of(task));
        let Some(script) = receipts::write_script(&plan.install_location, &receipt) else {
            return true;
        };
        let step: Step = Run { ..script }.into();
        let left = match self.ask(&target, step.clone()).await {
            Ok(reply) if reply.is_wanted(&step) => Ok(()),
            Ok(Reply::Ran { stderr, .. }) => Err(stderr.trim().to_owned()),
            Ok(_) => Err("no shell answered".to_owned()),
            Err(failure) => Err(failure.message),
        };
        match left {
            Ok(()) => {
                let host = task.host.clone();
                self.emit(What::Receipt { host, receipt }).await;
                true
            }
            Err(why) => {
                self.emit(What::Log {
                    level: Level::Error,
                    component: "Executor".into(),
                    host: Some(task.host.clone()),
                    tag: task.tag.clone(),
                    message: format!(
                        "the receipt of {} {} could not be left in {}: {why}",
                        plan.service, plan.version, plan.install_location
                    ),
                })
                .await;
                false
            }
        }
    }
}

/// How a chain goes on.
enum Next {
    GoOn,
    Again,
    Stop(JobEnd),
}

fn interrupted() -> Failure {
    Failure::new(FailureKind::Interrupted, "ended by the operator")
}

async fn out_of_time(limit: Option<(Instant, u64)>) -> Failure {
    match limit {
        Some((deadline, seconds)) => {
            tokio::time::sleep_until(deadline).await;
            Failure::new(
                FailureKind::TimeLimit,
                format!("not done within {seconds} s"),
            )
        }
        None => std::future::pending().await,
    }
}

fn broken(error: HostError) -> Broken {
    match error.kind {
        HostErrorKind::Lost => Broken::Lost(error),
        _ => Failure::from(error).into(),
    }
}

/// The rights that a task's steps have.
fn rights(task: &PreparedTask) -> As {
    if task.use_sudo { As::root() } else { As::Login }
}

fn with_rights(mut step: Step, rights: &As) -> Step {
    match &mut step {
        Step::Run(run) if run.user == As::Login => run.user = rights.clone(),
        Step::Put(put) if put.user == As::Login => put.user = rights.clone(),
        _ => {}
    }
    step
}

fn target_of(step: &Step, home: &Target) -> Target {
    let via = match step {
        Step::Dial(dial) => &dial.via,
        Step::Http(http) => &http.via,
        _ => &Via::Task,
    };
    match via {
        Via::Task => home.clone(),
        Via::Host(host) if *host == home.0 => home.clone(),
        Via::Host(host) => (host.clone(), None),
    }
}

/// What a plugin's command does to the host of its task.
struct JobHands<'a, 'b> {
    run: &'a mut JobRun<'b>,
}

#[async_trait]
impl Hands for JobHands<'_, '_> {
    async fn perform(&mut self, step: Step) -> Result<Reply, Failure> {
        match self.run.perform(vec![step], None).await {
            Ok(()) => {}
            Err(Broken::Verdict(Verdict {
                outcome: Outcome::Failed(failure),
                ..
            })) => return Err(failure),
            Err(Broken::Verdict(verdict)) => {
                return Err(Failure::new(
                    FailureKind::Command,
                    verdict.outcome.to_string(),
                ));
            }
            Err(Broken::Lost(error)) => return Err(error.into()),
        }
        let reply = self.run.flights.front_mut().and_then(|f| f.seen.pop());
        reply
            .map(|seen| seen.reply)
            .ok_or_else(|| Failure::new(FailureKind::LinkLost, "no reply came"))
    }

    fn log(&mut self, level: Level, component: &str, message: &str) {
        let Some(task) = self
            .run
            .flights
            .front()
            .and_then(|f| self.run.task(f.index))
        else {
            return;
        };
        let events = &self.run.shared.options.events;
        events.log(
            level,
            component,
            Some(&task.host),
            task.tag.as_deref(),
            message,
        );
    }
}
