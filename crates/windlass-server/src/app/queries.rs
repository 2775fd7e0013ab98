//! What clients are told.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use windlass_model::event::RunEnd;
use windlass_model::ids::RunId;
use windlass_model::release::{
    Advertisement, Effect, Environment, Index, Item, Job, JobId, JobState, Project, ReleaseId,
    Status, TargetName, Transaction, TransactionId, Whole,
};
use windlass_store::{AgentState, InstalledFilter, Release, TransactionFilter};
use windlass_wire::rest::{
    AgentView, Deployed, EnvironmentView, HistoryEntry, InstalledView, JobView, LogPart,
    ProjectView, ReleaseView, TransactionDetail, TransactionView,
};

use super::requests::Requester;
use super::route::installers;
use super::{App, AppError, AppResult, actor, micros, time};
use crate::auth::{Ask, Identity};

/// Transactions that one answer has at most.
const MOST_TRANSACTIONS: u32 = 1000;
/// How often more transactions are read where most are not for the asker's eyes.
const MOST_PAGES: u32 = 20;
/// Releases that one answer has at most.
const MOST_RELEASES: u32 = 1000;

/// No log is longer, in bytes; a file system refuses to look much further.
const LONGEST_LOG: u64 = 1 << 40;

/// How many bytes of a part of a text are whole characters; all of them, where none is whole. What is missing of the last one comes
/// with the next part.
fn whole_characters(bytes: &[u8]) -> usize {
    for (back, byte) in (1..=3).zip(bytes.iter().rev()) {
        let length = match byte {
            0b1100_0000..=0b1101_1111 => 2,
            0b1110_0000..=0b1110_1111 => 3,
            0b1111_0000..=0b1111_0111 => 4,
            0b1000_0000..=0b1011_1111 => continue,
            _ => 1,
        };
        let whole = bytes.len() - back;
        return if length > back && whole > 0 {
            whole
        } else {
            bytes.len()
        };
    }
    bytes.len()
}

/// A transaction as clients see it.
pub(super) fn view(transaction: &Transaction) -> TransactionView {
    TransactionView {
        transaction: transaction.id.clone(),
        status: transaction.status(),
        project: transaction.project.clone(),
        action: transaction.action.clone(),
        environment: transaction.environment.clone(),
        release: transaction.release.clone(),
        actor: transaction.actor.name.clone(),
        why: transaction.why.clone(),
        time: time(transaction.created_at),
        ended: transaction.ended_at.map(time),
    }
}

fn job_view(job: &Job) -> JobView {
    JobView {
        job: job.id.clone(),
        kind: job.kind,
        target: job.target.clone(),
        agent: job.agent.clone(),
        wave: job.wave,
        state: job.state,
        result: job.result.clone(),
    }
}

fn release_view(release: Release) -> ReleaseView {
    ReleaseView {
        release: release.index.release(),
        index: release.index,
        rejected: release.rejected,
        transaction: release.transaction,
        time: time(release.created_at),
    }
}

impl App {
    /// A transaction that there is.
    pub(super) async fn known(&self, id: &TransactionId) -> AppResult<Transaction> {
        let found = self.store().transaction(id).await?;
        found.ok_or_else(|| AppError::NotFound(format!("there is no transaction {id}")))
    }

    /// What `query_transaction` answers.
    pub async fn status(&self, who: &Identity, id: &TransactionId) -> AppResult<Status> {
        Ok(self.seen_by(who, id).await?.status())
    }

    /// A transaction with its jobs. With `after`, the version that the caller has seen, it waits for a newer one, `wait` at
    /// most. Cancelled by dropping.
    pub async fn transaction(
        &self,
        who: &Identity,
        id: &TransactionId,
        after: Option<u64>,
        wait: Duration,
    ) -> AppResult<TransactionDetail> {
        self.seen_by(who, id).await?;
        let end = Instant::now() + wait;
        let mut stopping = self.inner.stopping.subscribe();
        let signal = self.inner.wake.of_transaction(id);
        loop {
            let mut woken = std::pin::pin!(signal.notified());
            woken.as_mut().enable();
            let detail = self.detail(id).await?;
            let is_news = after.is_none_or(|seen| detail.version > seen);
            if is_news
                || detail.transaction.ended.is_some()
                || Instant::now() >= end
                || *stopping.borrow()
            {
                return Ok(detail);
            }
            tokio::select! {
                biased;
                _ = timeout_at(end, woken) => {}
                _ = stopping.changed() => {}
            }
        }
    }

    async fn detail(&self, id: &TransactionId) -> AppResult<TransactionDetail> {
        let version = self.store().history(id).await?.len() as u64;
        let whole = self.store().whole(id).await?;
        let whole =
            whole.ok_or_else(|| AppError::NotFound(format!("there is no transaction {id}")))?;
        Ok(TransactionDetail {
            transaction: view(&whole.transaction),
            jobs: whole.jobs.iter().map(job_view).collect(),
            version,
        })
    }

    /// The newest transactions first, of those that they may see.
    pub async fn transactions(
        &self,
        who: &Identity,
        project: Option<&Project>,
        environment: Option<&Environment>,
        limit: u32,
    ) -> AppResult<Vec<TransactionView>> {
        let limit = limit.clamp(1, MOST_TRANSACTIONS);
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut filter = TransactionFilter {
            project: project.cloned(),
            environment: environment.cloned(),
            limit: MOST_TRANSACTIONS.min(limit.max(100)),
            ..TransactionFilter::default()
        };
        let mut sight = self.sight(who);
        let mut views = Vec::new();
        for _ in 0..MOST_PAGES {
            let found = self.store().transactions(&filter).await?;
            let is_last = found.len() < usize::try_from(filter.limit).unwrap_or(usize::MAX);
            filter.before = found.last().map(|t| t.sequence);
            let seen = sight
                .keep(found, |t| (Some(&t.project), t.environment.as_ref()))
                .await?;
            views.extend(seen.iter().take(wanted - views.len()).map(view));
            if is_last || views.len() >= wanted {
                break;
            }
        }
        Ok(views)
    }

    /// Everything that is recorded about a transaction, oldest first.
    pub async fn history(
        &self,
        who: &Identity,
        id: &TransactionId,
    ) -> AppResult<Vec<HistoryEntry>> {
        self.seen_by(who, id).await?;
        let entries = self.store().history(id).await?;
        let entry = |entry: windlass_store::Entry| HistoryEntry {
            time: time(entry.at),
            actor: entry.actor.name,
            address: entry.actor.address,
            what: entry.what,
            detail: entry.detail,
        };
        Ok(entries.into_iter().map(entry).collect())
    }

    /// A part of a job's log.
    pub async fn job_log(
        &self,
        who: &Identity,
        id: &TransactionId,
        job: &JobId,
        offset: u64,
    ) -> AppResult<LogPart> {
        self.seen_by(who, id).await?;
        let offset = offset.min(LONGEST_LOG);
        let found = self.store().job(job).await?;
        let (_, job) = found
            .filter(|(transaction, _)| transaction == id)
            .ok_or_else(|| {
                AppError::NotFound(format!("there is no job {job} of transaction {id}"))
            })?;
        let mut bytes = self.inner.logs.read(&job.id, job.epoch, offset).await?;
        bytes.truncate(whole_characters(&bytes));
        let settled = job.state.is_settled() || job.state == JobState::Unknown;
        Ok(LogPart {
            next: offset.saturating_add(bytes.len() as u64),
            ended: settled && bytes.is_empty(),
            text: String::from_utf8_lossy(&bytes).into_owned(),
        })
    }

    /// The projects that the manager knows, of those that they may see.
    pub async fn projects(&self, who: &Identity) -> AppResult<Vec<ProjectView>> {
        let agents = self.known_agents().await?;
        let settings = self.settings();
        let project =
            |(name, project): (&Project, &crate::settings::ProjectSettings)| ProjectView {
                project: name.clone(),
                targets: project.targets.clone(),
                actions: ["build", "install"]
                    .map(str::to_owned)
                    .into_iter()
                    .chain(project.actions.keys().cloned())
                    .collect(),
                builders: agents
                    .iter()
                    .filter(|agent| agent.advertisement.builds(name))
                    .map(|agent| agent.name.clone())
                    .collect(),
            };
        let all = settings.projects.iter().map(project).collect();
        self.sight(who)
            .keep(all, |p| (Some(&p.project), None))
            .await
    }

    /// The environments that installers advertise, or the config names; of those that they may see.
    pub async fn environments(&self, who: &Identity) -> AppResult<Vec<EnvironmentView>> {
        let agents = self.known_agents().await?;
        let settings = self.settings();
        let mut names: BTreeSet<Environment> = settings.environments.keys().cloned().collect();
        let mut targets: BTreeSet<(Environment, TargetName)> = BTreeSet::new();
        for agent in &agents {
            if let Advertisement::Environments(environments) = &agent.advertisement {
                for (environment, of) in environments {
                    names.insert(environment.clone());
                    targets.extend(of.iter().map(|t| (environment.clone(), t.clone())));
                }
            }
        }
        let environment = |name: Environment| {
            let targets: Vec<TargetName> = targets
                .iter()
                .filter(|(environment, _)| *environment == name)
                .map(|(_, target)| target.clone())
                .collect();
            let by: BTreeSet<_> = targets
                .iter()
                .flat_map(|target| installers(&name, target, &agents))
                .map(|agent| agent.name.clone())
                .collect();
            EnvironmentView {
                from: settings
                    .environments
                    .get(&name)
                    .and_then(|e| e.from.clone()),
                targets,
                installers: by.into_iter().collect(),
                environment: name.clone(),
            }
        };
        let all = names.into_iter().map(environment).collect();
        self.sight(who)
            .keep(all, |e: &EnvironmentView| (None, Some(&e.environment)))
            .await
    }

    /// The agents.
    pub async fn agents(&self) -> AppResult<Vec<AgentView>> {
        let now = self.store().now().await?;
        let away = micros(self.settings().lease).saturating_mul(2);
        let registered = self.store().registrations().await?;
        let agent = |agent: windlass_store::AgentRecord| AgentView {
            kind: agent.kind,
            name: agent.name,
            state: match agent.state {
                AgentState::Active => "active".into(),
                AgentState::Draining => "draining".into(),
            },
            online: now - agent.seen_at < away,
            slots: agent.slots,
            advertisement: agent.advertisement,
            seen: time(agent.seen_at),
        };
        Ok(registered.into_iter().map(agent).collect())
    }

    /// The releases, newest first, of those that they may see.
    pub async fn releases(
        &self,
        who: &Identity,
        project: Option<&Project>,
    ) -> AppResult<Vec<ReleaseView>> {
        let releases = self.store().releases(project, MOST_RELEASES).await?;
        let seen = self
            .sight(who)
            .keep(releases, |r| (Some(&r.index.project), None))
            .await?;
        Ok(seen.into_iter().map(release_view).collect())
    }

    async fn known_to_be(&self, id: &ReleaseId) -> AppResult<Release> {
        let found = self.store().release(id).await?;
        found.ok_or_else(|| AppError::NotFound(format!("there is no release {id}")))
    }

    /// Marks a release as one that must not be installed.
    pub async fn reject(
        &self,
        who: Requester<'_>,
        id: &ReleaseId,
        reason: &str,
    ) -> AppResult<ReleaseView> {
        self.may_of(who.identity, "reject", &id.project).await?;
        self.known_to_be(id).await?;
        let reason = match reason.trim() {
            "" => "no reason was given",
            reason => reason,
        };
        let reason = format!("{reason} ({})", who.identity.name);
        self.store()
            .reject(id, &reason, &actor(who.identity, who.address))
            .await?;
        Ok(release_view(self.known_to_be(id).await?))
    }

    /// Notes a run that deployed a release, in the history of the transaction that built it.
    pub async fn deployed(
        &self,
        who: Requester<'_>,
        id: &ReleaseId,
        deployed: Deployed,
    ) -> AppResult<()> {
        self.may_of(who.identity, "deploy", &id.project).await?;
        let release = self.known_to_be(id).await?;
        let Some(transaction) = release.transaction else {
            return Err(AppError::Conflict(format!(
                "release {id} was imported: no transaction here has a history of it"
            )));
        };
        let Deployed { run, by, end } = deployed;
        let is_plain = |text: &str| text.len() <= 255 && !text.chars().any(char::is_control);
        if RunId::new(run.as_str()).is_none() || !is_plain(&by) {
            return Err(AppError::Malformed(
                "`run` is the id of a run, and `by` one line of 255 bytes at most".into(),
            ));
        }
        let end = match end {
            RunEnd::Succeeded => "succeeded",
            RunEnd::Failed => "failed",
            RunEnd::Unknown => "ended unknown",
            RunEnd::Interrupted => "was interrupted",
        };
        let entry = Effect::History {
            actor: actor(who.identity, who.address),
            what: "deployed",
            detail: format!("{id} by {by}: run {run} {end}"),
        };
        let change = move |_: &mut Whole, _| Ok(((), vec![entry.clone()]));
        self.store().change(&transaction, change).await?;
        self.changed(&transaction).await;
        Ok(())
    }

    /// Forgets the histories of transactions that ended so many days ago or earlier; gives how many entries. The transactions
    /// stay. Nothing is ever forgotten unasked.
    pub async fn prune(&self, who: &Identity, days: u32) -> AppResult<u64> {
        let age = Duration::from_secs(u64::from(days) * 24 * 3600);
        let now = self.store().now().await?;
        let entries = self.store().prune(now.saturating_sub(micros(age))).await?;
        let message = format!(
            "{entries} entries of histories older than {days} days removed by {}",
            who.name
        );
        self.log(windlass_model::step::Level::Info, &message);
        Ok(entries)
    }

    /// Takes a release in, whose blobs were uploaded before.
    pub async fn import(&self, who: &Identity, index: Index) -> AppResult<ReleaseView> {
        self.may_of(who, "import", &index.project).await?;
        for item in index.targets.values() {
            if self.inner.blobs.has(&item.digest).await? != Some(item.size) {
                let name = &item.name;
                return Err(AppError::Conflict(format!(
                    "the blob of {name} is not here: upload it first"
                )));
            }
        }
        let id = index.release();
        self.store().import(&index).await?;
        let message = format!("release {id} imported by {}", who.name);
        self.log(windlass_model::step::Level::Info, &message);
        Ok(release_view(self.known_to_be(&id).await?))
    }

    async fn may_of(&self, who: &Identity, action: &str, project: &Project) -> AppResult<()> {
        let ask = Ask {
            action,
            project: Some(project),
            environment: None,
            target: None,
        };
        self.authorize(who, ask).await
    }

    /// A resource of a release.
    pub async fn release_blob(
        &self,
        who: &Identity,
        id: &ReleaseId,
        target: &TargetName,
    ) -> AppResult<(Item, windlass_store::BlobReader)> {
        self.may_query(who, Some(&id.project), None).await?;
        let release = self.known_to_be(id).await?;
        let item = release.index.targets.get(target).cloned();
        let item = item
            .ok_or_else(|| AppError::NotFound(format!("release {id} has nothing for {target}")))?;
        let reader = self.blob(&item.digest, 0).await?;
        Ok((item, reader))
    }

    /// What is where, of what they may see.
    pub async fn installed(
        &self,
        who: &Identity,
        project: Option<&Project>,
        environment: Option<&Environment>,
    ) -> AppResult<Vec<InstalledView>> {
        let filter = InstalledFilter {
            project: project.cloned(),
            environment: environment.cloned(),
            ..InstalledFilter::default()
        };
        let rows = self.store().installed(&filter).await?;
        let row = |row: windlass_store::Installed| InstalledView {
            project: row.release.project.clone(),
            environment: row.environment,
            target: row.target,
            agent: row.agent,
            host: row.host,
            release: row.release,
            previous: row.previous_good,
            transaction: row.transaction,
            time: time(row.at),
        };
        let seen = self
            .sight(who)
            .keep(rows, |r| (Some(&r.release.project), Some(&r.environment)))
            .await?;
        Ok(seen.into_iter().map(row).collect())
    }

    /// Counts, in the text format of Prometheus.
    pub async fn metrics(&self) -> AppResult<String> {
        let mut text = String::new();
        let agents = self.agents().await?;
        let counts = self.store().counts().await?;
        text.push_str("# HELP windlass_transactions Transactions by phase.\n# TYPE windlass_transactions gauge\n");
        for (phase, count) in &counts.transactions {
            let _ = writeln!(text, "windlass_transactions{{phase=\"{phase}\"}} {count}");
        }
        text.push_str("# HELP windlass_jobs Jobs by state.\n# TYPE windlass_jobs gauge\n");
        for (state, count) in &counts.jobs {
            let _ = writeln!(text, "windlass_jobs{{state=\"{state}\"}} {count}");
        }
        text.push_str("# HELP windlass_agents Agents by kind, and whether they are online.\n# TYPE windlass_agents gauge\n");
        for kind in [
            windlass_model::release::AgentKind::Builder,
            windlass_model::release::AgentKind::Installer,
        ] {
            for online in [true, false] {
                let count = agents
                    .iter()
                    .filter(|a| a.kind == kind && a.online == online)
                    .count();
                let kind = kind.as_str();
                let _ = writeln!(
                    text,
                    "windlass_agents{{kind=\"{kind}\",online=\"{online}\"}} {count}"
                );
            }
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::whole_characters;

    #[test]
    fn a_character_is_not_cut_in_two() {
        for (text, whole) in [("", 0), ("ab", 2), ("aé", 3), ("a€", 4), ("a𝄞", 5)] {
            assert_eq!(whole_characters(text.as_bytes()), whole);
            for cut in 2..text.len() {
                assert_eq!(
                    whole_characters(&text.as_bytes()[..cut]),
                    if text == "ab" { cut } else { 1 }
                );
            }
        }
        // what is no text is told as it is
        assert_eq!(whole_characters(&[0x80; 9]), 9);
        assert_eq!(whole_characters(&[0xe2, 0x82]), 2);
    }
}
