//! The agents' protocol below `/agent/v1`.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::{Extension, Json};
use http::HeaderMap;
use serde::Deserialize;
use windlass_model::release::{Digest, Epoch, JobId};
use windlass_wire::agent::{Finish, LogHas, Poll, Polled, Probed, Register, Registered, Start};

use super::blobs::{had, receive, send};
use super::caller::Agent;
use super::error::Error;
use super::query::Query;
use super::room::{room, room_of};
use super::{Http, Peer, body, guard, read};
use crate::app::AppError;

type Answer<T> = Result<Json<T>, Error>;

/// Longest part of a log in one request, in bytes.
const LONGEST_LOG: u64 = 1 << 20;

pub(super) async fn register(
    State(http): State<Http>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Answer<Registered> {
    let register: Register = body::json(body, room(&http)).await?;
    let credential = guard::bearer(&headers);
    if (credential.is_some() || register.token.is_some()) && !peer.tls && !peer.is_loopback() {
        let why = "an agent on another machine joins over https: its credential would be seen";
        return Err(AppError::Forbidden(why.into()).into());
    }
    let registered = http
        .app
        .register(register, credential, &peer.address(), peer.is_here())
        .await?;
    Ok(Json(registered))
}

pub(super) async fn poll(State(http): State<Http>, agent: Agent, body: Body) -> Answer<Polled> {
    let poll: Poll = body::json(body, room(&http)).await?;
    Ok(Json(
        http.app.poll(&agent.login, poll, &agent.address).await?,
    ))
}

pub(super) async fn start(
    State(http): State<Http>,
    agent: Agent,
    Path(id): Path<String>,
    body: Body,
) -> Answer<bool> {
    let start: Start = body::json(body, room(&http)).await?;
    http.app
        .start(&agent.login, &read(&id)?, start.epoch, &agent.address)
        .await?;
    Ok(Json(true))
}

pub(super) async fn finish(
    State(http): State<Http>,
    agent: Agent,
    Path(id): Path<String>,
    body: Body,
) -> Answer<bool> {
    let finish: Finish = body::json(body, room(&http)).await?;
    http.app
        .finish(&agent.login, &read(&id)?, finish, &agent.address)
        .await?;
    Ok(Json(true))
}

pub(super) async fn probe(
    State(http): State<Http>,
    agent: Agent,
    Path(id): Path<String>,
    body: Body,
) -> Answer<bool> {
    let probed: Probed = body::json(body, room(&http)).await?;
    http.app
        .probed(
            &agent.login,
            &read(&id)?,
            probed.epoch,
            probed.verdict,
            &agent.address,
        )
        .await?;
    Ok(Json(true))
}

#[derive(Deserialize)]
pub(super) struct LogFrom {
    epoch: Epoch,
    offset: u64,
}

pub(super) async fn log(
    State(http): State<Http>,
    agent: Agent,
    Path(id): Path<String>,
    Query(from): Query<LogFrom>,
    body: Body,
) -> Answer<LogHas> {
    let bytes = body::whole(body, room_of(&http, LONGEST_LOG)).await?;
    let length = http
        .app
        .append_log(&agent.login, &read(&id)?, from.epoch, from.offset, bytes)
        .await?;
    Ok(Json(LogHas { length }))
}

#[derive(Deserialize)]
pub(super) struct BlobOf {
    job: JobId,
    offset: Option<u64>,
}

pub(super) async fn has_blob(
    State(http): State<Http>,
    agent: Agent,
    Path(id): Path<String>,
    Query(of): Query<BlobOf>,
) -> Result<Response, Error> {
    let digest: Digest = read(&id)?;
    http.app
        .may_see_blob(&agent.login, &of.job, &digest, false)
        .await?;
    had(&http, &digest).await
}

pub(super) async fn put_blob(
    State(http): State<Http>,
    agent: Agent,
    Path(id): Path<String>,
    Query(of): Query<BlobOf>,
    body: Body,
) -> Answer<bool> {
    let digest: Digest = read(&id)?;
    http.app.may_put_blob(&agent.login, &of.job).await?;
    receive(&http, &digest, of.offset, body).await?;
    Ok(Json(true))
}

pub(super) async fn get_blob(
    State(http): State<Http>,
    agent: Agent,
    Path(id): Path<String>,
    Query(of): Query<BlobOf>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let digest: Digest = read(&id)?;
    http.app
        .may_see_blob(&agent.login, &of.job, &digest, true)
        .await?;
    send(&http, &digest, &headers).await
}
