//! What stands before every endpoint: who calls, and whether they may.

use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use data_encoding::BASE64;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value};

use super::endpoints::Access;
use super::error::Error;
use super::{Http, Peer, Remote};
use crate::app::{AppError, AppResult};
use crate::auth::{Ask, Credentials, Identity};

/// An endpoint behind the guard of its access.
pub(super) fn behind(
    endpoint: MethodRouter<Http>,
    access: Access,
    http: &Http,
) -> MethodRouter<Http> {
    let state = (http.clone(), access);
    endpoint.layer(middleware::from_fn_with_state(state, guard))
}

async fn guard(
    State((http, access)): State<(Http, Access)>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = peer(&request, http.tls);
    request.extensions_mut().insert(peer.clone());
    match admit(&http, access, &peer, &mut request).await {
        Ok(()) => next.run(request).await,
        Err(error) => refused(error),
    }
}

/// Who calls, put where handlers find it.
async fn admit(http: &Http, access: Access, peer: &Peer, request: &mut Request) -> AppResult<()> {
    match access {
        Access::Open | Access::InBody | Access::Join => Ok(()),
        Access::Client(action) => {
            let credentials = credentials(request.headers(), peer)?;
            let identity = http.app.authenticate(&credentials, &peer.address()).await?;
            let ask = Ask {
                action,
                project: None,
                environment: None,
                target: None,
            };
            http.app.authorize(&identity, ask).await?;
            request.extensions_mut().insert::<Identity>(identity);
            Ok(())
        }
        Access::Agent => {
            let token = bearer(request.headers()).ok_or_else(|| {
                AppError::Unauthenticated(
                    "an agent's credential is wanted, as a bearer token".into(),
                )
            })?;
            let login = http.app.agent_of(token).await?;
            request.extensions_mut().insert(login);
            Ok(())
        }
    }
}

fn refused(error: AppError) -> Response {
    let unauthenticated = matches!(error, AppError::Unauthenticated(_));
    let mut response = Error(error).into_response();
    if unauthenticated {
        let wanted = HeaderValue::from_static("Basic realm=\"windlass\", charset=\"UTF-8\"");
        response
            .headers_mut()
            .insert(http::header::WWW_AUTHENTICATE, wanted);
    }
    response
}

fn peer(request: &Request, tls: bool) -> Peer {
    let remote = request.extensions().get::<Remote>();
    Peer {
        address: remote.map(|Remote(address)| *address),
        tls,
    }
}

/// The bearer token of a request.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

/// Credentials by HTTP: Basic gives `username` and `password`, bearer gives `token`; none: an empty struct. A password over
/// plain HTTP from beyond loopback is refused.
pub(super) fn credentials(headers: &HeaderMap, peer: &Peer) -> AppResult<Credentials> {
    let mut credentials = Map::new();
    if let Some(token) = bearer(headers) {
        credentials.insert("token".into(), Value::String(token.into()));
    } else if let Some(value) = headers.get(AUTHORIZATION) {
        let wrong =
            || AppError::Unauthenticated("the Authorization header is not understood".into());
        let text = value.to_str().map_err(|_| wrong())?;
        let (scheme, encoded) = text.split_once(' ').ok_or_else(wrong)?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(wrong());
        }
        let decoded = BASE64
            .decode(encoded.trim().as_bytes())
            .map_err(|_| wrong())?;
        let decoded = String::from_utf8(decoded).map_err(|_| wrong())?;
        let (username, password) = decoded.split_once(':').ok_or_else(wrong)?;
        credentials.insert("username".into(), Value::String(username.into()));
        credentials.insert("password".into(), Value::String(password.into()));
    }
    plain_password(&credentials, peer)?;
    Ok(credentials)
}

/// Refuses a password or token that came over plain HTTP from beyond loopback: it has been seen by others.
pub(super) fn plain_password(credentials: &Credentials, peer: &Peer) -> AppResult<()> {
    let secret = ["password", "token"]
        .iter()
        .any(|key| credentials.contains_key(*key));
    if secret && !peer.tls && !peer.is_loopback() {
        return Err(AppError::Forbidden(
            "no password is taken over plain HTTP from another machine: use https, and change this password".into(),
        ));
    }
    Ok(())
}
