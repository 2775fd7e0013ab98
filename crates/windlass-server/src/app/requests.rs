//! Requests for action.

use std::time::Duration;

use serde_json::{Map, Value, json};
use windlass_model::release::machine;
use windlass_model::release::request::Refused;
use windlass_model::release::{
    Actor, Effect, Phase, Project, ReleaseId, Request, TransactionId, Wanted,
};
use windlass_model::step::Level;
use windlass_store::{Begun, InstalledFilter, NewBuild, NewTransaction};
use windlass_wire::rest::{Requested, TransactionView};

use super::route::{KnownRelease, Routed, route};
use super::{App, AppError, AppResult, actor, queries};
use crate::auth::{Ask, Identity};

/// Somebody who was authenticated, and from where they call.
#[derive(Clone, Copy)]
pub struct Requester<'a> {
    /// Who.
    pub identity: &'a Identity,
    /// From where.
    pub address: &'a str,
}

impl Requester<'_> {
    fn actor(&self) -> Actor {
        actor(self.identity, self.address)
    }
}

impl App {
    /// Takes a request. What cannot be done is recorded and `REJECTED`; a call that is at fault itself is an error.
    ///
    /// A repeated call with the same `request_id` of the same client answers the same transaction.
    pub async fn request(
        &self,
        who: Requester<'_>,
        data: Map<String, Value>,
    ) -> AppResult<Requested> {
        self.write_delivered().await;
        let read = match Request::read(&data) {
            Ok(request) => Ok(request),
            Err(Refused::Malformed(why)) => return Err(AppError::Malformed(why)),
            Err(Refused::Rejected(why)) => Err(why),
        };
        let key = key(who, &data);
        let routed = match &read {
            Ok(request) => self.route(who, request).await?,
            Err(why) => Err(why.clone()),
        };
        let new = match (routed, read) {
            (Ok(routed), Ok(request)) => {
                accepted(who, request, &routed, key, self.settings().build_deadline)
            }
            (Err(why), read) => rejected(who, &data, read.ok(), &why, key)?,
            (Ok(_), Err(why)) => return Err(AppError::Malformed(why)),
        };
        let begun = self.store().begin(new).await?;
        let (transaction, known) = match begun {
            Begun::New(transaction) => (transaction, false),
            Begun::Known(transaction) => (transaction, true),
        };
        let status = transaction.status();
        let (id, action, project) = (&transaction.id, &transaction.action, &transaction.project);
        let from = &transaction.actor;
        let again = if known { " (known already)" } else { "" };
        let into = transaction
            .environment
            .as_ref()
            .map_or_else(String::new, |e| format!(" into {e}"));
        self.log(
            Level::Info,
            &format!(
                "{id}: {action} of {project}{into}, asked for by {}: {}{again}",
                from.name,
                status.as_str()
            ),
        );
        // Of a known one too: whoever asked for it first may have gone before anybody was told.
        match transaction.phase {
            Phase::Building => self.inner.wake.project(&transaction.project),
            Phase::Waiting => self.inner.wake.scheduler(),
            _ => {}
        }
        Ok(Requested {
            transaction: transaction.id.clone(),
            status,
        })
    }

    /// Whether it may and can be done; the inner error is why it is rejected.
    async fn route(
        &self,
        who: Requester<'_>,
        request: &Request,
    ) -> AppResult<Result<Routed, String>> {
        let ask = Ask {
            action: &request.action,
            project: Some(&request.project),
            environment: request.environment.as_ref(),
            target: None,
        };
        match self.authorize(who.identity, ask).await {
            Ok(()) => {}
            Err(AppError::Forbidden(why)) => return Ok(Err(format!("no permission: {why}"))),
            Err(error) => return Err(error),
        }
        let release = match &request.wanted {
            Wanted::Release(id) => self.known_release(id, request).await?,
            Wanted::Source { .. } => None,
        };
        let agents = self.known_agents_for(request).await?;
        let settings = self.settings();
        let Ok(routed) = route(request, &settings, &agents, release.as_ref()) else {
            // Why not may be what else there is.
            let agents = self.known_agents().await?;
            return Ok(route(request, &settings, &agents, release.as_ref()));
        };
        if let Some(environment) = request.environment.as_ref().filter(|_| routed.installs) {
            for target in &routed.targets {
                let ask = Ask {
                    action: &request.action,
                    project: Some(&request.project),
                    environment: Some(environment),
                    target: Some(target),
                };
                match self.authorize(who.identity, ask).await {
                    Ok(()) => {}
                    Err(AppError::Forbidden(why)) => {
                        return Ok(Err(format!("no permission: {why}")));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(Ok(routed))
    }

    async fn known_release(
        &self,
        id: &ReleaseId,
        request: &Request,
    ) -> AppResult<Option<KnownRelease>> {
        let Some(release) = self.store().release(id).await? else {
            return Ok(None);
        };
        let mut known = KnownRelease {
            targets: release.index.targets.keys().cloned().collect(),
            rejected: release.rejected,
            in_from: false,
        };
        let settings = self.settings();
        let environment = request.environment.as_ref();
        let rules = environment.and_then(|environment| settings.environments.get(environment));
        if let Some(from) = rules.and_then(|rules| rules.from.clone()) {
            let filter = InstalledFilter {
                project: Some(id.project.clone()),
                environment: Some(from),
                ..InstalledFilter::default()
            };
            let installed = self.store().installed(&filter).await?;
            known.in_from = installed.iter().any(|row| row.release == *id);
        }
        Ok(Some(known))
    }

    /// The answers to requests went out: the same request is a new one from now on. Must be called in a runtime.
    pub fn answered(&self, ids: Vec<TransactionId>) {
        let mut delivered = self.inner.delivered.lock();
        delivered
            .as_mut()
            .unwrap_or_else(|poisoned| poisoned.get_mut())
            .extend(ids);
        drop(delivered);
        let app = self.clone();
        tokio::spawn(async move { app.write_delivered().await });
    }

    /// Has it written down which answers went out. When it ends, all that had gone out before it began stands before whatever is
    /// begun from then on. What fails is logged.
    async fn write_delivered(&self) {
        let turn = self.inner.writing.lock().await;
        let delivered = match self.inner.delivered.lock() {
            Ok(mut delivered) => std::mem::take(&mut *delivered),
            Err(poisoned) => std::mem::take(&mut *poisoned.into_inner()),
        };
        if delivered.is_empty() {
            return;
        }
        let queued = self.store().answered(delivered).await;
        drop(turn);
        let app = self.clone();
        tokio::spawn(async move {
            let written = match queued {
                Ok(written) => written.await,
                Err(error) => Err(error),
            };
            if let Err(error) = written {
                let message = format!("it is not written down which answers went out: {error}");
                app.log(Level::Warning, &message);
            }
        });
    }

    /// Takes a transaction back. What runs settles first.
    pub async fn cancel(
        &self,
        who: Requester<'_>,
        id: &TransactionId,
    ) -> AppResult<TransactionView> {
        self.may_act(who, "cancel", id).await?;
        let actor = who.actor();
        let change = move |whole: &mut windlass_model::release::Whole, now| {
            let effects = machine::cancel(whole, &actor, now)?;
            let held: Vec<_> = whole
                .jobs
                .iter()
                .filter(|job| job.state.is_held())
                .filter_map(|job| Some((job.kind, job.agent.clone()?)))
                .collect();
            Ok(((whole.transaction.clone(), held), effects))
        };
        let (transaction, held) = self.store().change(id, change).await?;
        for (kind, agent) in held {
            self.inner.wake.agent(kind, &agent);
        }
        self.log(
            Level::Info,
            &format!("{id}: cancelled by {}", who.identity.name),
        );
        self.changed(id).await;
        Ok(queries::view(&transaction))
    }

    /// Says what came of a job whose outcome is unknown.
    pub async fn settle(
        &self,
        who: Requester<'_>,
        id: &TransactionId,
        job: &windlass_model::release::JobId,
        settled: machine::Settled,
    ) -> AppResult<TransactionView> {
        self.may_act(who, "settle", id).await?;
        self.forget_asked(job);
        let (actor, job) = (who.actor(), job.clone());
        let change = move |whole: &mut windlass_model::release::Whole, now| {
            machine::settle(whole, &job, settled, &actor, now)
        };
        let whole = self.advance(id, change).await?;
        Ok(queries::view(&whole.transaction))
    }

    /// Whether somebody may do something to a transaction, by its project and environment.
    async fn may_act(&self, who: Requester<'_>, action: &str, id: &TransactionId) -> AppResult<()> {
        let transaction = self.known(id).await?;
        let ask = Ask {
            action,
            project: Some(&transaction.project),
            environment: transaction.environment.as_ref(),
            target: None,
        };
        self.authorize(who.identity, ask).await
    }
}

/// What makes a repeated call the same call: the client's `request_id`, or what it says and who it is.
fn key(who: Requester<'_>, data: &Map<String, Value>) -> Option<String> {
    let id = data
        .get("request_id")
        .and_then(Value::as_str)
        .filter(|id| !id.is_empty())?;
    Some(json!([who.identity.name, id]).to_string())
}

/// What tells that a client sent the same again, without knowing that it did: who it is, and all that it says.
fn fingerprint(who: Requester<'_>, data: &Map<String, Value>) -> String {
    json!([who.identity.name, who.address, data]).to_string()
}

fn accepted(
    who: Requester<'_>,
    request: Request,
    routed: &Routed,
    request_key: Option<String>,
    build_deadline: Duration,
) -> NewTransaction {
    let release = match &request.wanted {
        Wanted::Release(id) => Some(id.clone()),
        Wanted::Source { .. } => None,
    };
    let phase = if release.is_some() {
        Phase::Waiting
    } else {
        Phase::Building
    };
    let fingerprint = fingerprint(who, &request.data);
    let targets: Vec<&str> = routed.targets.iter().map(|t| t.as_str()).collect();
    let detail = format!(
        "{} of {}: {}",
        request.action,
        request.project,
        targets.join(", ")
    );
    NewTransaction {
        project: request.project,
        action: request.action,
        environment: request.environment,
        request: request.data,
        actor: who.actor(),
        phase,
        installs: routed.installs,
        release,
        max_failures: 0,
        why: None,
        build: (phase == Phase::Building).then_some(NewBuild {
            within: Some(build_deadline),
        }),
        request_key,
        fingerprint: Some(fingerprint),
        effects: vec![entry(who, "requested", detail)],
    }
}

fn rejected(
    who: Requester<'_>,
    data: &Map<String, Value>,
    read: Option<Request>,
    why: &str,
    request_key: Option<String>,
) -> AppResult<NewTransaction> {
    let text = |key| data.get(key).and_then(Value::as_str).unwrap_or_default();
    let project: Project = text("project").parse().map_err(AppError::Malformed)?;
    Ok(NewTransaction {
        project,
        action: match text("action") {
            "" => "build".into(),
            action => action.chars().take(64).collect(),
        },
        environment: read
            .and_then(|r| r.environment)
            .or_else(|| text("env").parse().ok()),
        request: data.clone(),
        actor: who.actor(),
        phase: Phase::Rejected,
        installs: false,
        release: None,
        max_failures: 0,
        why: Some(why.to_owned()),
        build: None,
        request_key,
        fingerprint: None,
        effects: vec![
            entry(who, "requested", String::new()),
            entry(who, "rejected", why.to_owned()),
        ],
    })
}

fn entry(who: Requester<'_>, what: &'static str, detail: String) -> Effect {
    Effect::History {
        actor: who.actor(),
        what,
        detail,
    }
}
