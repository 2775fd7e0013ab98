//! An install failed, and the project says `on_failure: rollback`: what it installed goes back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use serde_json::json;
use windlass_model::release::rollback::{self, Place, Put, Rollback};
use windlass_model::release::{
    Actor, AgentKind, Effect, End, JobState, Phase, ReleaseId, Status, TargetName, Transaction,
    TransactionId, Whole,
};
use windlass_model::step::Level;
use windlass_store::{InstalledFilter, NewTransaction, Release, TransactionFilter};

use super::{App, AppError, AppResult};
use crate::settings::Settings;

/// Failed installs of which a manager that starts looks whether their rollback was begun.
const LOOKED_AT: u32 = 200;
/// Earlier transactions in which it is looked for what was installed before.
const EARLIER: u32 = 50;

/// A rollback that was begun: by which transaction, to which release, where.
type Begun = (TransactionId, ReleaseId, BTreeSet<Place>);

/// The effects of a change, with the entry that a rollback is owed where it is.
pub(super) fn with_owed(
    settings: &Settings,
    before: Option<End>,
    whole: &Whole,
    mut effects: Vec<Effect>,
) -> Vec<Effect> {
    let project = settings.projects.get(&whole.transaction.project);
    let policy = project.map_or_else(Default::default, |project| project.rollout.on_failure);
    effects.extend(rollback::owed(before, whole, policy));
    effects
}

impl App {
    /// Begins the rollback of a transaction that has just ended, where its history says that one is owed. What fails is
    /// logged, and done with the scheduler's next turn.
    pub(super) async fn roll_back_if_owed(&self, transaction: &Transaction) {
        if transaction.status() != Status::InstallFailed {
            return;
        }
        if let Err(error) = self.roll_back(transaction).await {
            let id = &transaction.id;
            self.log(Level::Error, &format!("{id}: not rolled back yet: {error}"));
            self.inner.owes.store(true, Ordering::Relaxed);
        }
    }

    /// Begins the rollbacks that are owed: by an earlier process, or since one could not be begun.
    pub(super) async fn roll_back_owed(&self) -> AppResult<()> {
        if !self.inner.owes.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let looked = self.look_for_owed().await;
        if looked.is_err() {
            self.inner.owes.store(true, Ordering::Relaxed);
        }
        looked
    }

    async fn look_for_owed(&self) -> AppResult<()> {
        let filter = TransactionFilter {
            status: Some(Status::InstallFailed),
            limit: LOOKED_AT,
            ..TransactionFilter::default()
        };
        for transaction in self.store().transactions(&filter).await? {
            self.roll_back_if_owed(&transaction).await;
        }
        Ok(())
    }

    async fn roll_back(&self, failed: &Transaction) -> AppResult<()> {
        // Whoever comes second finds it done.
        let _turn = self.inner.rolling_back.lock().await;
        let history = self.store().history(&failed.id).await?;
        let has = |what: &str| history.iter().any(|entry| entry.what == what);
        if !has(rollback::OWED) || has(rollback::BEGUN) || has(rollback::LEFT) {
            return Ok(());
        }
        // Those that an earlier process began, and could not write down any more.
        let mut begun = self.begun_for(failed).await?;
        let decided = self.decided(failed).await?;
        for (release, places) in &decided.back {
            if !begun.iter().any(|(_, known, _)| known == release) {
                let id = self.begin_rollback(failed, release, places).await?;
                begun.push((id, release.clone(), places.clone()));
            }
        }
        let mut entries = Vec::new();
        for (id, release, places) in &begun {
            let detail = format!("to {release} by {id}: {}", rollback::named(places));
            entries.push(entry(rollback::BEGUN, detail));
        }
        let goes = |place: &Place| begun.iter().any(|(_, _, places)| places.contains(place));
        for (place, why) in decided.left.iter().filter(|(place, _)| !goes(place)) {
            let detail = format!("{}: {why}", rollback::named([place]));
            entries.push(entry(rollback::LEFT, detail));
        }
        if entries.is_empty() {
            let detail = "nothing of it is installed any more".to_owned();
            entries.push(entry(rollback::LEFT, detail));
        }
        let change = move |_: &mut Whole, _| Ok(((), entries.clone()));
        self.store().change(&failed.id, change).await?;
        self.changed(&failed.id).await;
        Ok(())
    }

    /// The transactions that take a transaction back, each to which release and where.
    async fn begun_for(&self, failed: &Transaction) -> AppResult<Vec<Begun>> {
        let filter = TransactionFilter {
            project: Some(failed.project.clone()),
            environment: failed.environment.clone(),
            limit: LOOKED_AT,
            ..TransactionFilter::default()
        };
        let later = self.store().transactions(&filter).await?;
        let later = later.into_iter().filter(|t| t.sequence > failed.sequence);
        let taken = later.filter_map(|transaction| {
            let (of, places) = rollback::takes_back(&transaction)?;
            let release = transaction.release.filter(|_| of == failed.id)?;
            Some((transaction.id, release, places))
        });
        Ok(taken.collect())
    }

    /// What goes back, by what is where now.
    async fn decided(&self, failed: &Transaction) -> AppResult<Rollback> {
        let mut puts = Vec::new();
        let mut had = BTreeSet::new();
        let mut releases: BTreeMap<ReleaseId, Option<Release>> = BTreeMap::new();
        let rows = self.put_by(&failed.id, failed).await?;
        for (put, release) in rows {
            let place = (put.target.clone(), put.agent.clone());
            if self.had_before(failed, &place, &release).await? {
                had.insert(place);
                continue;
            }
            if let Some(previous) = put.previous.as_ref()
                && !releases.contains_key(previous)
            {
                let found = self.store().release(previous).await?;
                releases.insert(previous.clone(), found);
            }
            puts.push(put);
        }
        let cannot = |id: &ReleaseId, target: &TargetName| match releases.get(id) {
            Some(Some(release)) => match &release.rejected {
                Some(why) => Some(format!("{id} was rejected: {why}")),
                None if !release.index.targets.contains_key(target) => {
                    Some(format!("{id} has nothing for it"))
                }
                None => None,
            },
            _ => Some(format!("{id} is not kept any more")),
        };
        let mut decided = rollback::decide(&puts, cannot);
        for place in had {
            let why = "the same release was there before";
            decided.left.insert(place, why.into());
        }
        Ok(decided)
    }

    /// What a transaction put somewhere and is there still, each with the release.
    async fn put_by(
        &self,
        id: &TransactionId,
        transaction: &Transaction,
    ) -> AppResult<Vec<(Put, ReleaseId)>> {
        let filter = InstalledFilter {
            environment: transaction.environment.clone(),
            project: Some(transaction.project.clone()),
            ..InstalledFilter::default()
        };
        let rows = self.store().installed(&filter).await?;
        let its = rows.into_iter().filter(|row| row.transaction == *id);
        let put = its.map(|row| {
            let put = Put {
                target: row.target,
                agent: row.agent,
                host: row.host,
                previous: row.previous_good,
            };
            (put, row.release)
        });
        Ok(put.collect())
    }

    /// Where a transaction that takes another one back is to act: only where nothing else was installed since. None for any
    /// other transaction, which acts everywhere.
    pub(super) async fn places_of(
        &self,
        transaction: &Transaction,
    ) -> AppResult<Option<BTreeSet<Place>>> {
        let Some((of, places)) = rollback::takes_back(transaction) else {
            return Ok(None);
        };
        let there = self.put_by(&of, transaction).await?;
        let there = there.into_iter().map(|(put, _)| (put.target, put.agent));
        Ok(Some(there.filter(|place| places.contains(place)).collect()))
    }

    /// Whether the newest install before a transaction had put the same release there.
    async fn had_before(
        &self,
        failed: &Transaction,
        place: &Place,
        release: &ReleaseId,
    ) -> AppResult<bool> {
        let filter = TransactionFilter {
            project: Some(failed.project.clone()),
            environment: failed.environment.clone(),
            before: Some(failed.sequence),
            limit: EARLIER,
            ..TransactionFilter::default()
        };
        for earlier in self.store().transactions(&filter).await? {
            let Some(whole) = self.store().whole(&earlier.id).await? else {
                continue;
            };
            let put = whole.jobs.iter().any(|job| {
                job.kind == AgentKind::Installer
                    && job.state == JobState::Done
                    && job.target.as_ref() == Some(&place.0)
                    && job.agent.as_ref() == Some(&place.1)
            });
            if put {
                return Ok(whole.transaction.release.as_ref() == Some(release));
            }
        }
        Ok(false)
    }

    /// Makes the transaction that takes back; again is the same one.
    async fn begin_rollback(
        &self,
        failed: &Transaction,
        release: &ReleaseId,
        places: &BTreeSet<Place>,
    ) -> AppResult<TransactionId> {
        let environment = failed.environment.clone();
        let environment =
            environment.ok_or_else(|| AppError::Conflict("it has no environment".into()))?;
        let detail = format!(
            "rollback of {} to {release}: {}",
            failed.id,
            rollback::named(places)
        );
        let new = NewTransaction {
            project: failed.project.clone(),
            action: "install".into(),
            environment: Some(environment.clone()),
            request: rollback::request(&failed.id, &environment, release, places),
            actor: Actor::manager(),
            phase: Phase::Waiting,
            installs: true,
            release: Some(release.clone()),
            max_failures: 0,
            why: None,
            build: None,
            request_key: Some(json!(["rollback of", failed.id, release]).to_string()),
            fingerprint: None,
            effects: vec![entry("requested", detail.clone())],
        };
        let begun = self.store().begin(new).await?.into_transaction();
        self.log(Level::Warning, &format!("{}: {detail}", begun.id));
        self.changed(&begun.id).await;
        Ok(begun.id)
    }
}

fn entry(what: &'static str, detail: String) -> Effect {
    Effect::History {
        actor: Actor::manager(),
        what,
        detail,
    }
}
