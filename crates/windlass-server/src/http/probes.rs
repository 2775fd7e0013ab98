//! Whether the manager is well.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;

use super::Http;
use super::error::Error;
use crate::app::AppError;

pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

pub(super) async fn readyz(State(http): State<Http>) -> Response {
    match http.app.is_ready().await {
        true => "ready\n".into_response(),
        false => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the store does not answer\n",
        )
            .into_response(),
    }
}

pub(super) async fn metrics(State(http): State<Http>) -> Result<Response, Error> {
    let text = http.app.metrics().await?;
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

pub(super) async fn nothing_here() -> Error {
    Error(AppError::NotFound(
        "there is nothing here: XML-RPC is at / and /RPC2, JSON below /api/v1".into(),
    ))
}

pub(super) async fn wrong_method() -> Response {
    let error = Error(AppError::Malformed("this path has no such method".into()));
    let mut response = error.into_response();
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}
