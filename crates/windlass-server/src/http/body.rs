//! Bodies: bounded where they are read whole, streamed where they are not.

use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt;
use http::HeaderMap;
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use std::time::Duration;
use windlass_store::BlobReader;
use windlass_wire::xmlrpc::{self, Limits};

use super::room::{Room, Taken};
use crate::app::{AppError, AppResult};

/// How long the next bytes of a body may take.
const STALL: Duration = Duration::from_secs(60);
/// How long a body that is read whole may take.
const WHOLE: Duration = Duration::from_secs(120);
/// Bytes of a body that is too long which are still taken, and dropped: many clients read no answer before they have sent
/// everything.
const DROPPED: u64 = 64 << 20;
/// How long that may take.
const DROPPING: Duration = Duration::from_secs(10);

/// The next bytes of a body; none at its end.
pub(super) async fn next(body: &mut Body) -> AppResult<Option<Bytes>> {
    loop {
        let frame = tokio::time::timeout(STALL, body.frame()).await;
        let frame = frame.map_err(|_| AppError::Malformed("the body stands still".into()))?;
        match frame {
            None => return Ok(None),
            Some(Err(e)) => return Err(AppError::Malformed(format!("the body breaks off: {e}"))),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// The whole body, where there is room for it.
pub(super) async fn whole(mut body: Body, room: Room) -> AppResult<Vec<u8>> {
    let read = tokio::time::timeout(WHOLE, read(&mut body, &room)).await;
    let read = read.unwrap_or_else(|_| Err(AppError::Malformed("the body takes too long".into())));
    if let Err(AppError::TooLong(_)) = &read {
        let _ = tokio::time::timeout(DROPPING, drop_rest(&mut body)).await;
    }
    read
}

async fn drop_rest(body: &mut Body) {
    let mut dropped = 0;
    while let Ok(Some(chunk)) = next(body).await {
        dropped += chunk.len() as u64;
        if dropped > DROPPED {
            return;
        }
    }
}

async fn read(body: &mut Body, room: &Room) -> AppResult<Vec<u8>> {
    let limit = room.limit;
    let mut taken = Taken::default();
    if hyper::body::Body::size_hint(body).lower() > limit {
        return Err(too_long(limit));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = next(body).await? {
        if (bytes.len() + chunk.len()) as u64 > limit {
            return Err(too_long(limit));
        }
        taken.grow(room, (bytes.len() + chunk.len()) as u64)?;
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

pub(super) fn too_long(limit: u64) -> AppError {
    AppError::TooLong(format!(
        "the request is longer than {limit} bytes (`request_limit`)"
    ))
}

/// The whole body, inflated where it is compressed; as long as it may be either way.
pub(super) async fn inflated(headers: &HeaderMap, body: Body, room: Room) -> AppResult<Vec<u8>> {
    let limit = room.limit;
    let bytes = whole(body, room).await?;
    let encoding = match headers.get(http::header::CONTENT_ENCODING) {
        None => return Ok(bytes),
        Some(value) => value.to_str().unwrap_or("?"),
    };
    let limits = Limits {
        bytes: usize::try_from(limit).unwrap_or(usize::MAX),
        ..Limits::default()
    };
    let decoded = xmlrpc::decode_body(Some(encoding), &bytes, &limits);
    let decoded = decoded.map_err(|e| match e {
        xmlrpc::BodyError::TooLarge(_) => too_long(limit),
        other => AppError::Malformed(other.to_string()),
    })?;
    Ok(decoded.into_owned())
}

/// JSON.
pub(super) async fn json<T: DeserializeOwned>(body: Body, room: Room) -> AppResult<T> {
    let bytes = whole(body, room).await?;
    let bytes: &[u8] = if bytes.is_empty() { b"null" } else { &bytes };
    serde_json::from_slice(bytes).map_err(|e| AppError::Malformed(format!("the body: {e}")))
}

/// A blob that is read as it is sent.
pub(super) fn stream(reader: BlobReader) -> Body {
    let pieces = futures_util::stream::try_unfold(reader, |mut reader| async move {
        let piece = reader.next().await.map_err(std::io::Error::other)?;
        Ok::<_, std::io::Error>(piece.map(|piece| (Bytes::from(piece), reader)))
    });
    Body::from_stream(pieces.boxed())
}
