//! JSON below `/api/v1`.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::HeaderMap;
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use serde::Deserialize;
use serde_json::{Map, Value};
use windlass_model::release::{
    AgentKind, AgentName, Digest, Environment, Index, JobId, Project, ReleaseId, TargetName,
    TransactionId,
};
use windlass_wire::agent::LONGEST_WAIT;
use windlass_wire::rest::{
    AgentToken, AgentView, Deployed, EnvironmentView, HistoryEntry, InstalledView, LogPart,
    ProjectView, Prune, Pruned, Reason, ReleaseView, Settle, TransactionDetail, TransactionView,
};

use super::blobs::{had, receive};
use super::caller::Client;
use super::error::Error;
use super::query::Query;
use super::room::room;
use super::{Http, Peer, body, delivered, guard, read};
use crate::app::{AppError, Requester};

type Answer<T> = Result<Json<T>, Error>;

fn kind(text: &str) -> Result<AgentKind, Error> {
    let wrong = || AppError::Malformed(format!("{text:?} is no kind of agent: builder, installer"));
    AgentKind::from_name(text).ok_or_else(|| wrong().into())
}

pub(super) async fn request(
    State(http): State<Http>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let credentials = guard::credentials(&headers, &peer)?;
    let address = peer.address();
    let identity = http.app.authenticate(&credentials, &address).await?;
    let data: Map<String, Value> = body::json(body, room(&http)).await?;
    let who = Requester {
        identity: &identity,
        address: &address,
    };
    let requested = http.app.request(who, data).await?;
    let unwritable = |e: serde_json::Error| AppError::Unavailable(e.to_string());
    let bytes = serde_json::to_vec(&requested).map_err(unwritable)?;
    let body = delivered::body(bytes, &http.app, vec![requested.transaction]);
    Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
}

#[derive(Deserialize)]
pub(super) struct Which {
    project: Option<Project>,
    environment: Option<Environment>,
    limit: Option<u32>,
}

pub(super) async fn transactions(
    State(http): State<Http>,
    client: Client,
    Query(which): Query<Which>,
) -> Answer<Vec<TransactionView>> {
    let limit = which.limit.unwrap_or(100);
    let project = which.project.as_ref();
    Ok(Json(
        http.app
            .transactions(&client.identity, project, which.environment.as_ref(), limit)
            .await?,
    ))
}

#[derive(Deserialize)]
pub(super) struct News {
    after: Option<u64>,
    wait: Option<u32>,
}

pub(super) async fn transaction(
    State(http): State<Http>,
    client: Client,
    Path(id): Path<String>,
    Query(news): Query<News>,
) -> Answer<TransactionDetail> {
    let wait = Duration::from_secs(u64::from(news.wait.unwrap_or(0).min(LONGEST_WAIT)));
    Ok(Json(
        http.app
            .transaction(&client.identity, &read(&id)?, news.after, wait)
            .await?,
    ))
}

pub(super) async fn history(
    State(http): State<Http>,
    client: Client,
    Path(id): Path<String>,
) -> Answer<Vec<HistoryEntry>> {
    Ok(Json(http.app.history(&client.identity, &read(&id)?).await?))
}

pub(super) async fn cancel(
    State(http): State<Http>,
    client: Client,
    Path(id): Path<String>,
) -> Answer<TransactionView> {
    let id: TransactionId = read(&id)?;
    Ok(Json(http.app.cancel(client.who(), &id).await?))
}

pub(super) async fn settle(
    State(http): State<Http>,
    client: Client,
    Path((id, job)): Path<(String, String)>,
    body: Body,
) -> Answer<TransactionView> {
    let settle: Settle = body::json(body, room(&http)).await?;
    let (id, job): (TransactionId, JobId) = (read(&id)?, read(&job)?);
    Ok(Json(
        http.app
            .settle(client.who(), &id, &job, settle.settled)
            .await?,
    ))
}

#[derive(Deserialize)]
pub(super) struct Offset {
    offset: Option<u64>,
}

pub(super) async fn job_log(
    State(http): State<Http>,
    client: Client,
    Path((id, job)): Path<(String, String)>,
    Query(from): Query<Offset>,
) -> Answer<LogPart> {
    let offset = from.offset.unwrap_or(0);
    let (id, job): (TransactionId, JobId) = (read(&id)?, read(&job)?);
    Ok(Json(
        http.app
            .job_log(&client.identity, &id, &job, offset)
            .await?,
    ))
}

pub(super) async fn projects(State(http): State<Http>, client: Client) -> Answer<Vec<ProjectView>> {
    Ok(Json(http.app.projects(&client.identity).await?))
}

pub(super) async fn environments(
    State(http): State<Http>,
    client: Client,
) -> Answer<Vec<EnvironmentView>> {
    Ok(Json(http.app.environments(&client.identity).await?))
}

pub(super) async fn agents(State(http): State<Http>) -> Answer<Vec<AgentView>> {
    Ok(Json(http.app.agents().await?))
}

async fn of_agent(http: &Http, path: (String, String), draining: bool) -> Answer<bool> {
    let (kind, name): (AgentKind, AgentName) = (kind(&path.0)?, read(&path.1)?);
    Ok(Json(http.app.drain_agent(kind, &name, draining).await?))
}

pub(super) async fn remove_agent(
    State(http): State<Http>,
    Path(path): Path<(String, String)>,
) -> Answer<bool> {
    let (kind, name): (AgentKind, AgentName) = (kind(&path.0)?, read(&path.1)?);
    Ok(Json(http.app.remove_agent(kind, &name).await?))
}

pub(super) async fn drain_agent(
    State(http): State<Http>,
    Path(path): Path<(String, String)>,
) -> Answer<bool> {
    of_agent(&http, path, true).await
}

pub(super) async fn resume_agent(
    State(http): State<Http>,
    Path(path): Path<(String, String)>,
) -> Answer<bool> {
    of_agent(&http, path, false).await
}

pub(super) async fn agent_token(State(http): State<Http>) -> Answer<AgentToken> {
    let (token, seconds) = http.app.agent_token().await?;
    Ok(Json(AgentToken { token, seconds }))
}

pub(super) async fn releases(
    State(http): State<Http>,
    client: Client,
    Query(which): Query<Which>,
) -> Answer<Vec<ReleaseView>> {
    Ok(Json(
        http.app
            .releases(&client.identity, which.project.as_ref())
            .await?,
    ))
}

pub(super) async fn reject(
    State(http): State<Http>,
    client: Client,
    Path((project, version)): Path<(String, String)>,
    body: Body,
) -> Answer<ReleaseView> {
    let reason: Reason = body::json(body, room(&http)).await?;
    let id = ReleaseId::new(read(&project)?, read(&version)?);
    Ok(Json(
        http.app.reject(client.who(), &id, &reason.reason).await?,
    ))
}

pub(super) async fn deployed(
    State(http): State<Http>,
    client: Client,
    Path((project, version)): Path<(String, String)>,
    body: Body,
) -> Answer<bool> {
    let deployed: Deployed = body::json(body, room(&http)).await?;
    let id = ReleaseId::new(read(&project)?, read(&version)?);
    http.app.deployed(client.who(), &id, deployed).await?;
    Ok(Json(true))
}

pub(super) async fn import(
    State(http): State<Http>,
    client: Client,
    body: Body,
) -> Answer<ReleaseView> {
    let index: Index = body::json(body, room(&http)).await?;
    Ok(Json(http.app.import(&client.identity, index).await?))
}

/// A file name without what a header cannot hold.
fn plain(name: &str) -> String {
    let fine = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '/');
    name.chars()
        .map(|c| if fine(c) { c } else { '_' })
        .collect()
}

pub(super) async fn release_blob(
    State(http): State<Http>,
    client: Client,
    Path((project, version, target)): Path<(String, String, String)>,
) -> Result<Response, Error> {
    let id = ReleaseId::new(read(&project)?, read(&version)?);
    let target: TargetName = read(&target)?;
    let (item, reader) = http
        .app
        .release_blob(&client.identity, &id, &target)
        .await?;
    let disposition = format!("attachment; filename=\"{}\"", plain(&item.name));
    let headers = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CONTENT_LENGTH, item.size.to_string()),
        (CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, body::stream(reader)).into_response())
}

pub(super) async fn has_import_blob(
    State(http): State<Http>,
    Path(digest): Path<String>,
) -> Result<Response, Error> {
    had(&http, &read(&digest)?).await
}

pub(super) async fn import_blob(
    State(http): State<Http>,
    Path(digest): Path<String>,
    Query(from): Query<Offset>,
    body: Body,
) -> Answer<bool> {
    let digest: Digest = read(&digest)?;
    receive(&http, &digest, from.offset, body).await?;
    Ok(Json(true))
}

pub(super) async fn installed(
    State(http): State<Http>,
    client: Client,
    Query(which): Query<Which>,
) -> Answer<Vec<InstalledView>> {
    let rows = http
        .app
        .installed(
            &client.identity,
            which.project.as_ref(),
            which.environment.as_ref(),
        )
        .await?;
    Ok(Json(rows))
}

pub(super) async fn prune(State(http): State<Http>, client: Client, body: Body) -> Answer<Pruned> {
    let prune: Prune = body::json(body, room(&http)).await?;
    let entries = http.app.prune(&client.identity, prune.days).await?;
    Ok(Json(Pruned { entries }))
}

pub(super) async fn reload(State(http): State<Http>) -> Answer<bool> {
    http.app.reload()?;
    Ok(Json(true))
}
