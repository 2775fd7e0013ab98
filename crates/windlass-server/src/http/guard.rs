//! What stands before every endpoint: who calls, and whether they may.

use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use data_encoding::BASE64;
use http::HeaderMap;
use http::header::{AUTHORIZATION, ORIGIN};
use serde_json::{Map, Value};

use super::endpoints::Access;
use super::error::{Error, Unanswered};
use super::{Http, Peer, Remote};
use crate::app::{AppError, AppResult, is_public};
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
    let call = format!("{} {}", request.method(), request.uri().path());
    let response = match admit(&http, access, &peer, &mut request).await {
        Ok(()) => next.run(request).await,
        Err(error) => Error(error).into_response(),
    };
    if let Some(Unanswered(why)) = response.extensions().get() {
        http.app.tell_unanswered(&call, why);
    }
    response
}

/// Refuses what a browser sends for a web page of somebody else's: where access is anonymous, or the browser knows the
/// password, such a page could act as whoever looks at it. Programs that are no browsers send no `Origin`.
fn no_web_page(request: &Request) -> AppResult<()> {
    let changes = !matches!(request.method().as_str(), "GET" | "HEAD" | "OPTIONS");
    match changes && request.headers().contains_key(ORIGIN) {
        true => Err(AppError::Forbidden(
            "no calls are taken from web pages (the `Origin` header)".into(),
        )),
        false => Ok(()),
    }
}

/// Who calls, put where handlers find it.
async fn admit(http: &Http, access: Access, peer: &Peer, request: &mut Request) -> AppResult<()> {
    no_web_page(request)?;
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
            if !peer.tls && !peer.is_loopback() {
                let why =
                    "an agent on another machine speaks https: its credential was seen by others";
                http.app.tell_refused(&peer.address(), why);
                return Err(AppError::Forbidden(why.into()));
            }
            let login = http.app.agent_of(token).await;
            if let Err(AppError::Unauthenticated(_)) = &login {
                http.app
                    .tell_refused(&peer.address(), "a credential that no agent has");
            }
            let login = login?;
            request.extensions_mut().insert(login);
            Ok(())
        }
    }
}

fn peer(request: &Request, tls: bool) -> Peer {
    let remote = request.extensions().get::<Remote>();
    let headers = request.headers();
    Peer {
        forwarded: ["forwarded", "x-forwarded-for", "x-real-ip", "via"]
            .iter()
            .any(|name| headers.contains_key(*name)),
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

/// Refuses a password, or whatever else is no mere name, that came over plain HTTP from beyond loopback: it has been seen by
/// others.
pub(super) fn plain_password(credentials: &Credentials, peer: &Peer) -> AppResult<()> {
    let secret = credentials.keys().any(|key| !is_public(key));
    if secret && !peer.tls && !peer.is_loopback() {
        return Err(AppError::Forbidden(
            "no password is taken over plain HTTP from another machine: use https, and change this password".into(),
        ));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    fn peer(address: &str, tls: bool) -> Peer {
        Peer {
            address: Some(address.parse().unwrap()),
            tls,
            forwarded: false,
        }
    }

    fn taken(credentials: Value, peer: &Peer) -> bool {
        let Value::Object(credentials) = credentials else {
            return false;
        };
        plain_password(&credentials, peer).is_ok()
    }

    #[test]
    fn no_password_is_taken_over_plain_http_from_beyond() {
        let far = [
            "192.0.2.7:4000",
            "[2001:db8::1]:4000",
            "[::ffff:192.0.2.7]:4000",
        ];
        let here = [
            "127.0.0.1:4000",
            "127.3.2.1:4000",
            "[::1]:4000",
            "[::ffff:127.0.0.1]:4000",
        ];
        let secrets = [
            json!({"username": "ann", "password": "x"}),
            json!({"token": "x"}),
            json!({"username": "ann", "pin": 7}),
        ];
        for secret in secrets {
            assert!(far.iter().all(|a| !taken(secret.clone(), &peer(a, false))));
            assert!(far.iter().all(|a| taken(secret.clone(), &peer(a, true))));
            assert!(here.iter().all(|a| taken(secret.clone(), &peer(a, false))));
        }
        assert!(taken(
            json!({"username": "ann", "realm": "r", "role": "x"}),
            &peer(far[0], false)
        ));
        let unknown = Peer {
            address: None,
            tls: false,
            forwarded: false,
        };
        assert!(!taken(json!({"password": "x"}), &unknown));
    }

    #[test]
    fn credentials_come_in_the_header() {
        let here = peer("127.0.0.1:1", false);
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            credentials(&headers, &here).map(Value::Object)
        };
        assert_eq!(
            read("basic YW5uOmE6Yg=="),
            Ok(json!({"username": "ann", "password": "a:b"}))
        );
        assert_eq!(read("Bearer abc"), Ok(json!({"token": "abc"})));
        for wrong in ["Basic", "Basic %%%", "Basic YW5u", "Digest x"] {
            assert!(
                matches!(read(wrong), Err(AppError::Unauthenticated(_))),
                "{wrong}"
            );
        }
    }
}
