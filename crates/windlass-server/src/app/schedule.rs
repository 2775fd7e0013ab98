//! What happens without anybody asking: leases expire, installs are planned.

use std::time::Duration;

use tokio::time::Instant;
use windlass_model::release::machine::{self, Planned};
use windlass_model::release::rollout::waves;
use windlass_model::release::{AgentName, JobId, Micros, TransactionId, Whole};
use windlass_model::step::Level;
use windlass_store::ChangeError;

use super::route::installers;
use super::{App, AppResult, micros};

/// How often time is looked at.
const TICK: Duration = Duration::from_secs(1);
/// How often what nobody carries on is looked for.
const TIDY: Duration = Duration::from_secs(3600);
/// How long an upload may rest before it is none any more.
const UPLOAD: Duration = Duration::from_secs(24 * 3600);

/// The database's clock beside this machine's steady one, which nobody sets and which stands still while the machine sleeps.
#[derive(Default)]
struct Clock {
    seen: Option<(Instant, Micros)>,
}

impl Clock {
    /// By how much the database's clock was set since it was seen last, if by more than `slack`; by nothing when it was never
    /// seen.
    fn set_by(&self, now: Micros, slack: Micros) -> Option<Micros> {
        let Some((since, then)) = self.seen else {
            return Some(0);
        };
        let by = now
            .saturating_sub(then)
            .saturating_sub(micros(since.elapsed()));
        (by.saturating_abs() > slack).then_some(by)
    }

    fn seen(&mut self, now: Micros) {
        self.seen = Some((Instant::now(), now));
    }
}

impl App {
    /// Runs until the manager is told to stop. What fails is logged and tried again at the next tick.
    pub async fn schedule(self) {
        let mut stopping = self.inner.stopping.subscribe();
        let mut told = false;
        let mut clock = Clock::default();
        let (mut tidied, mut ticked): (Option<Instant>, Option<Instant>) = (None, None);
        let is_due = |at: Option<Instant>, every| at.is_none_or(|at| at.elapsed() >= every);
        while !*stopping.borrow() {
            if is_due(tidied, TIDY) {
                tidied = Some(Instant::now());
                self.tidy().await;
            }
            let ticks = is_due(ticked, TICK);
            if ticks {
                ticked = Some(Instant::now());
            }
            match self.turn(ticks.then_some(&mut clock)).await {
                Ok(()) => told = false,
                Err(error) if !told => {
                    told = true;
                    self.log(Level::Error, &format!("nothing can be planned: {error}"));
                }
                Err(_) => {}
            }
            tokio::select! {
                biased;
                () = tokio::time::sleep(TICK) => {}
                () = self.inner.wake.scheduling() => {}
                _ = stopping.changed() => {}
            }
        }
    }

    /// Removes uploads that nobody has carried on: their builder was lost, and another one built something else.
    async fn tidy(&self) {
        match self.inner.blobs.remove_partial(UPLOAD).await {
            Ok(0) => {}
            Ok(count) => self.log(
                Level::Info,
                &format!("{count} uploads that were not carried on are removed"),
            ),
            Err(error) => {
                let message = format!("uploads that were not carried on stay: {error}");
                self.log(Level::Warning, &message);
            }
        }
    }

    /// Makes long polls end, and the scheduler.
    pub fn stop(&self) {
        self.inner.stopping.send_replace(true);
    }

    async fn turn(&self, clock: Option<&mut Clock>) -> AppResult<()> {
        self.roll_back_owed().await?;
        if let Some(clock) = clock {
            self.tick(clock).await?;
        }
        for id in self.store().waiting().await? {
            self.plan(&id).await?;
        }
        Ok(())
    }

    /// Ends leases and passes deadlines.
    async fn tick(&self, clock: &mut Clock) -> AppResult<()> {
        let now = self.store().now().await?;
        if let Some(by) = clock.set_by(now, micros(self.settings().lease / 4)) {
            self.clock_set(by).await?;
        }
        clock.seen(now);
        for id in self.store().due(now).await? {
            let change = |whole: &mut Whole, now| Ok(machine::tick(whole, now));
            let whole = self.advance(&id, change).await?;
            self.inner.wake.project(&whole.transaction.project);
        }
        Ok(())
    }

    /// Leases and deadlines are times of the database's clock, which somebody has set, or which nobody looked at while there was
    /// no manager: agents could not renew a lease, or would seem not to have done so.
    async fn clock_set(&self, by: Micros) -> AppResult<()> {
        let settings = self.settings();
        let (lease, longest) = (
            micros(settings.lease),
            micros(settings.build_deadline.max(settings.install_deadline)),
        );
        if by != 0 {
            let message = format!(
                "the database's clock was set by {} s: leases begin anew, deadlines move along",
                by / 1_000_000
            );
            self.log(Level::Warning, &message);
        }
        for id in self.store().due(Micros::MAX).await? {
            let change = move |whole: &mut Whole, now| {
                machine::clock_set(whole, by, lease, longest, now);
                Ok(((), Vec::new()))
            };
            self.store().change(&id, change).await?;
        }
        Ok(())
    }

    /// Plans an install, unless another one goes on into the same targets: then it waits.
    async fn plan(&self, id: &TransactionId) -> AppResult<()> {
        let Some(whole) = self.store().whole(id).await? else {
            return Ok(());
        };
        let transaction = &whole.transaction;
        let (Some(environment), Some(release)) = (&transaction.environment, &transaction.release)
        else {
            return Ok(());
        };
        let Some(release) = self.store().release(release).await? else {
            return Ok(());
        };
        if let Some(why) = &release.rejected {
            let why = format!("{} was rejected: {why}", release.index.release());
            return self.cannot_install(id, why).await;
        }
        let settings = self.settings();
        let rollout = settings
            .projects
            .get(&transaction.project)
            .map(|project| project.rollout.clone())
            .unwrap_or_default();
        let agents = self.known_installers(environment).await?;
        let wanted = windlass_model::release::Request::read(&transaction.request).ok();
        let components = wanted.and_then(|request| request.components);
        let places = self.places_of(transaction).await?;
        let mut installs = Vec::new();
        let mut missing = Vec::new();
        for target in release.index.targets.keys() {
            if components.as_ref().is_some_and(|c| !c.contains(target)) {
                continue;
            }
            let before = installs.len();
            let acts = |agent: &AgentName| match &places {
                None => true,
                Some(places) => places.contains(&(target.clone(), agent.clone())),
            };
            let of = installers(environment, target, &agents)
                .filter(|agent| !agent.draining && acts(&agent.name));
            installs.extend(of.map(|agent| (target.clone(), agent.name.clone())));
            if installs.len() == before {
                missing.push(target.to_string());
            }
        }
        if !missing.is_empty() {
            let missing = missing.join(", ");
            let why = match places {
                None => format!(
                    "no installer advertises {missing} in environment {environment} any more"
                ),
                Some(_) => format!(
                    "of {missing} nothing is left to take back: it was installed over, or its installer is gone"
                ),
            };
            return self.cannot_install(id, why).await;
        }
        let total = u32::try_from(installs.len()).unwrap_or(u32::MAX);
        let max_failures = rollout.max_failures.map_or(0, |share| share.of(total));
        let planned = planned(id, waves(&installs, &rollout));
        let deadline = micros(settings.install_deadline);
        let change = move |whole: &mut Whole, now: i64| {
            let until = now.saturating_add(deadline);
            let effects = machine::plan(whole, planned.clone(), max_failures, until)?;
            Ok((whole.clone(), effects))
        };
        match self.store().change(id, change).await {
            Ok(whole) => {
                self.wake_agents_of(&whole);
                self.inner.wake.transaction(id);
                Ok(())
            }
            // It waits for its turn, or somebody else was quicker.
            Err(ChangeError::Busy { .. } | ChangeError::Refused(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl App {
    /// An install that waits has failed, unless it was taken back meanwhile.
    async fn cannot_install(&self, id: &TransactionId, why: String) -> AppResult<()> {
        let change = move |whole: &mut Whole, now| machine::unroutable(whole, &why, now);
        match self.advance(id, change).await {
            Ok(_) | Err(ChangeError::Refused(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Jobs of waves, with ids that are the transaction's and a number.
fn planned(
    id: &TransactionId,
    waves: Vec<
        Vec<(
            windlass_model::release::TargetName,
            windlass_model::release::AgentName,
        )>,
    >,
) -> Vec<Planned> {
    let mut planned = Vec::new();
    for (number, wave) in waves.into_iter().enumerate() {
        for (target, agent) in wave {
            let name = format!("{id}.i{}", planned.len() + 1);
            let Ok(id) = name.parse::<JobId>() else {
                continue;
            };
            let wave = u32::try_from(number + 1).unwrap_or(u32::MAX);
            planned.push(Planned {
                id,
                target,
                agent,
                wave,
            });
        }
    }
    planned
}
