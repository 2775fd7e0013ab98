//! The agents' protocol below `/agent/v1`.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;
use windlass_model::release::{Digest, Epoch, JobId};
use windlass_wire::agent::{Finish, LogHas, Poll, Polled, Probed, Register, Registered, Start};

use super::error::Error;
use super::query::Query;
use super::{Http, Peer, body, guard};
use crate::app::{AgentLogin, AppError};

type Answer<T> = Result<Json<T>, Error>;

const HAVE: HeaderName = HeaderName::from_static("x-windlass-have");
const OFFSET: HeaderName = HeaderName::from_static("x-windlass-offset");
/// Longest part of a log in one request, in bytes.
const LONGEST_LOG: u64 = 1 << 20;

fn limit(http: &Http) -> u64 {
    http.app.settings().request_limit
}

fn job(text: &str) -> Result<JobId, Error> {
    text.parse().map_err(|e| Error(AppError::Malformed(e)))
}

fn digest(text: &str) -> Result<Digest, Error> {
    text.parse().map_err(|e| Error(AppError::Malformed(e)))
}

pub(super) async fn register(
    State(http): State<Http>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Answer<Registered> {
    let register: Register = body::json(body, limit(&http)).await?;
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

pub(super) async fn poll(
    State(http): State<Http>,
    Extension(login): Extension<AgentLogin>,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Answer<Polled> {
    let poll: Poll = body::json(body, limit(&http)).await?;
    Ok(Json(http.app.poll(&login, poll, &peer.address()).await?))
}

pub(super) async fn start(
    State(http): State<Http>,
    Extension(login): Extension<AgentLogin>,
    Extension(peer): Extension<Peer>,
    Path(id): Path<String>,
    body: Body,
) -> Answer<bool> {
    let start: Start = body::json(body, limit(&http)).await?;
    let address = peer.address();
    http.app
        .start(&login, &job(&id)?, start.epoch, &address)
        .await?;
    Ok(Json(true))
}

pub(super) async fn finish(
    State(http): State<Http>,
    Extension(login): Extension<AgentLogin>,
    Extension(peer): Extension<Peer>,
    Path(id): Path<String>,
    body: Body,
) -> Answer<bool> {
    let finish: Finish = body::json(body, limit(&http)).await?;
    http.app
        .finish(&login, &job(&id)?, finish, &peer.address())
        .await?;
    Ok(Json(true))
}

pub(super) async fn probe(
    State(http): State<Http>,
    Extension(login): Extension<AgentLogin>,
    Extension(peer): Extension<Peer>,
    Path(id): Path<String>,
    body: Body,
) -> Answer<bool> {
    let probed: Probed = body::json(body, limit(&http)).await?;
    let address = peer.address();
    http.app
        .probed(&login, &job(&id)?, probed.verdict, &address)
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
    Extension(login): Extension<AgentLogin>,
    Path(id): Path<String>,
    Query(from): Query<LogFrom>,
    body: Body,
) -> Answer<LogHas> {
    let bytes = body::whole(body, LONGEST_LOG).await?;
    let length = http
        .app
        .append_log(&login, &job(&id)?, from.epoch, from.offset, bytes)
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
    Extension(login): Extension<AgentLogin>,
    Path(id): Path<String>,
    Query(of): Query<BlobOf>,
) -> Result<Response, Error> {
    let digest = digest(&id)?;
    http.app
        .may_see_blob(&login, &of.job, &digest, false)
        .await?;
    had(&http, &digest).await
}

/// How much of a blob there is: whole, or where an upload stands.
pub(super) async fn had(http: &Http, digest: &Digest) -> Result<Response, Error> {
    let mut headers = HeaderMap::new();
    match http.app.blob_offset(digest).await? {
        None => headers.insert(HAVE, HeaderValue::from_static("whole")),
        Some(offset) => headers.insert(OFFSET, HeaderValue::from(offset)),
    };
    Ok(headers.into_response())
}

pub(super) async fn put_blob(
    State(http): State<Http>,
    Extension(login): Extension<AgentLogin>,
    Path(id): Path<String>,
    Query(of): Query<BlobOf>,
    mut body: Body,
) -> Answer<bool> {
    let digest = digest(&id)?;
    http.app.may_put_blob(&login, &of.job).await?;
    let mut upload = http.app.upload(&digest, of.offset.unwrap_or(0)).await?;
    while let Some(chunk) = body::next(&mut body).await? {
        upload.append(chunk).await.map_err(AppError::from)?;
    }
    http.app.uploaded(&digest, upload).await?;
    Ok(Json(true))
}

pub(super) async fn get_blob(
    State(http): State<Http>,
    Extension(login): Extension<AgentLogin>,
    Path(id): Path<String>,
    Query(of): Query<BlobOf>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let digest = digest(&id)?;
    http.app
        .may_see_blob(&login, &of.job, &digest, true)
        .await?;
    let size = http.app.blob_size(&digest).await?;
    let Some(from) = headers.get(RANGE).and_then(from_of) else {
        let reader = http.app.blob(&digest, 0).await?;
        return Ok(([(CONTENT_LENGTH, size.to_string())], body::stream(reader)).into_response());
    };
    if from >= size {
        let all = [(CONTENT_RANGE, format!("bytes */{size}"))];
        return Ok((StatusCode::RANGE_NOT_SATISFIABLE, all).into_response());
    }
    let reader = http.app.blob(&digest, from).await?;
    let headers = [
        (CONTENT_LENGTH, (size - from).to_string()),
        (CONTENT_RANGE, format!("bytes {from}-{}/{size}", size - 1)),
    ];
    Ok((StatusCode::PARTIAL_CONTENT, headers, body::stream(reader)).into_response())
}

/// `bytes=N-`; any other range is answered with the whole.
fn from_of(range: &HeaderValue) -> Option<u64> {
    range
        .to_str()
        .ok()?
        .strip_prefix("bytes=")?
        .strip_suffix('-')?
        .parse()
        .ok()
}
