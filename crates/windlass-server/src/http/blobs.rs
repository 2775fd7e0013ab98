//! Blobs, sent and received; nothing of them is whole in memory.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, RANGE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use windlass_model::release::Digest;

use super::error::Error;
use super::{Http, body};
use crate::app::AppError;

const HAVE: HeaderName = HeaderName::from_static("x-windlass-have");
const OFFSET: HeaderName = HeaderName::from_static("x-windlass-offset");

/// How much of a blob there is: whole, or where an upload stands.
pub(super) async fn had(http: &Http, digest: &Digest) -> Result<Response, Error> {
    let mut headers = HeaderMap::new();
    match http.app.blob_offset(digest).await? {
        None => headers.insert(HAVE, HeaderValue::from_static("whole")),
        Some(offset) => headers.insert(OFFSET, HeaderValue::from(offset)),
    };
    Ok(headers.into_response())
}

/// Takes the bytes of a blob that stand at `offset` in it, to its end. When it returns they are there, verified.
pub(super) async fn receive(
    http: &Http,
    digest: &Digest,
    offset: Option<u64>,
    mut body: Body,
) -> Result<(), Error> {
    let mut upload = http.app.upload(digest, offset.unwrap_or(0)).await?;
    while let Some(chunk) = upload.unless_wanted(body::next(&mut body)).await? {
        upload.append(chunk).await.map_err(AppError::from)?;
    }
    Ok(http.app.uploaded(digest, upload).await?)
}

/// A blob, or the part of it that is asked for.
pub(super) async fn send(
    http: &Http,
    digest: &Digest,
    headers: &HeaderMap,
) -> Result<Response, Error> {
    let size = http.app.blob_size(digest).await?;
    let Some(from) = headers.get(RANGE).and_then(from_of) else {
        let reader = http.app.blob(digest, 0).await?;
        return Ok(([(CONTENT_LENGTH, size.to_string())], body::stream(reader)).into_response());
    };
    if from >= size {
        let all = [(CONTENT_RANGE, format!("bytes */{size}"))];
        return Ok((StatusCode::RANGE_NOT_SATISFIABLE, all).into_response());
    }
    let reader = http.app.blob(digest, from).await?;
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
