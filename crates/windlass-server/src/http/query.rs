//! What stands behind the `?` of a URL; what is wrong with it is told as every other fault is.

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::de::DeserializeOwned;

use super::error::Error;
use crate::app::AppError;

/// The parameters of a URL, read.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let read = axum::extract::Query::try_from_uri(&parts.uri);
        let read = read.map_err(|e| AppError::Malformed(format!("the query of the URL: {e}")))?;
        Ok(Self(read.0))
    }
}
