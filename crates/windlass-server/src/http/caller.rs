//! Who calls an endpoint, as the guard before it has found out.

use axum::extract::FromRequestParts;
use http::request::Parts;

use super::Peer;
use super::error::Error;
use crate::app::{AgentLogin, AppError, Requester};
use crate::auth::Identity;

/// A client that was let in.
pub(super) struct Client {
    pub(super) identity: Identity,
    address: String,
}

impl Client {
    /// As use cases want to know it.
    pub(super) fn who(&self) -> Requester<'_> {
        Requester {
            identity: &self.identity,
            address: &self.address,
        }
    }
}

/// An agent that showed its credential.
pub(super) struct Agent {
    pub(super) login: AgentLogin,
    pub(super) address: String,
}

/// What the guard left in a request.
fn left<T: Clone + Send + Sync + 'static>(parts: &Parts) -> Result<T, Error> {
    let found = parts.extensions.get::<T>().cloned();
    found.ok_or_else(|| AppError::Unavailable("a defect: the endpoint has no guard".into()).into())
}

impl<S: Send + Sync> FromRequestParts<S> for Client {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        Ok(Self {
            identity: left(parts)?,
            address: left::<Peer>(parts)?.address(),
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Agent {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        Ok(Self {
            login: left(parts)?,
            address: left::<Peer>(parts)?.address(),
        })
    }
}
