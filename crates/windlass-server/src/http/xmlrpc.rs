//! XML-RPC at `/` and `/RPC2`: the seed's interface.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response as Answer};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use serde_json::{Map, Value as Json};
use windlass_model::release::{Environment, Project, TransactionId};
use windlass_wire::xmlrpc::{
    self, Call, Characters, EncodeOptions, Fault, Limits, Response, Value, code, from_value_at,
    multicall,
};

use super::methods::{Method, TABLE};
use super::room::room_of;
use super::{Http, Peer, body, delivered, guard};
use crate::app::{AppError, Requester};
use crate::auth::{Ask, Credentials, Identity};

/// Fault codes of our own, beside those of XML-RPC.
pub mod faults {
    /// Nobody was authenticated.
    pub const UNAUTHENTICATED: i64 = 401;
    /// Somebody may not do that.
    pub const FORBIDDEN: i64 = 403;
    /// There is no such thing.
    pub const NOT_FOUND: i64 = 404;
    /// It cannot be done in the state that things are in.
    pub const CONFLICT: i64 = 409;
}

/// Bytes that the answers of one `system.multicall` may take together, roughly.
const LONGEST_ANSWERS: usize = 32 << 20;

pub(super) async fn call(
    State(http): State<Http>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    // What a program printed may hold characters that XML has not.
    let options = EncodeOptions {
        characters: Characters::Replace,
        ..EncodeOptions::default()
    };
    let mut requested = Vec::new();
    let response = answer(&http, &peer, &headers, body, &mut requested).await;
    let bytes = xmlrpc::encode_response_always(&response, &options);
    let body = delivered::body(bytes, &http.app, requested);
    ([(CONTENT_TYPE, xmlrpc::CONTENT_TYPE)], body).into_response()
}

async fn answer(
    http: &Http,
    peer: &Peer,
    headers: &HeaderMap,
    body: Body,
    requested: &mut Vec<TransactionId>,
) -> Response {
    let limit = http.app.settings().request_limit;
    let bytes = body::inflated(headers, body, room_of(http, limit)).await;
    let bytes = bytes.map_err(|e| match e {
        AppError::TooLong(why) => Fault::new(code::SYSTEM, why),
        other => Fault::new(code::TRANSPORT, other.to_string()),
    })?;
    let limits = Limits {
        bytes: usize::try_from(limit).unwrap_or(usize::MAX),
        ..Limits::default()
    };
    let call = xmlrpc::decode_call(&bytes, &limits).map_err(Fault::from)?;
    if call.method != multicall::METHOD {
        return one(
            http,
            peer,
            headers,
            call,
            &mut Callers::default(),
            requested,
        )
        .await;
    }
    let mut responses = Vec::new();
    let (mut callers, mut room) = (Callers::default(), LONGEST_ANSWERS);
    for call in multicall::unpack(call.params)? {
        let response = match call {
            _ if room == 0 => Err(Fault::new(
                code::SYSTEM,
                "the answers before this one are too long for one multicall: make fewer calls",
            )),
            Ok(call) => one(http, peer, headers, call, &mut callers, requested).await,
            Err(fault) => Err(fault),
        };
        room = room.saturating_sub(response.as_ref().map_or(0, weight));
        responses.push(response);
    }
    Ok(multicall::pack(responses))
}

/// What a value takes, in bytes, roughly.
fn weight(value: &Value) -> usize {
    let inner = match value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Array(values) => values.iter().map(weight).sum(),
        Value::Struct(members) => members.iter().map(|(n, v)| n.len() + weight(v)).sum(),
        _ => 0,
    };
    inner.saturating_add(40)
}

/// Who was authenticated in a call so far. The calls of a multicall mostly have the same credentials, and checking a
/// password takes time; after wrong ones no others are tried, so that nobody tries many passwords in one call.
#[derive(Default)]
struct Callers {
    known: Option<(Credentials, Identity)>,
    refused: bool,
}

impl Callers {
    async fn identity(
        &mut self,
        http: &Http,
        credentials: Credentials,
        address: &str,
    ) -> Result<Identity, AppError> {
        if self.refused {
            return Err(AppError::Unauthenticated(
                "a call before this one had wrong credentials".into(),
            ));
        }
        if let Some((known, identity)) = &self.known
            && *known == credentials
        {
            return Ok(identity.clone());
        }
        let identity = http.app.authenticate(&credentials, address).await;
        match &identity {
            Ok(identity) => self.known = Some((credentials, identity.clone())),
            Err(_) => self.refused = true,
        }
        identity
    }
}

async fn one(
    http: &Http,
    peer: &Peer,
    headers: &HeaderMap,
    call: Call,
    callers: &mut Callers,
    requested: &mut Vec<TransactionId>,
) -> Response {
    #[cfg(feature = "validator1")]
    if let Some(response) = xmlrpc::validator1::answer(&call) {
        return response;
    }
    if let Some(response) = TABLE.answer(&call) {
        return response;
    }
    let Some(method) = Method::named(&call.method) else {
        return Err(TABLE.unknown(&call.method));
    };
    let asked = Asked::read(http, peer, headers, (method, call.params), callers).await?;
    let answer = asked.answer(http, requested).await;
    if let Err(AppError::Unavailable(why)) = &answer {
        http.app.tell_unanswered(method.name(), why);
    }
    answer.map_err(fault)
}

fn fault(error: AppError) -> Fault {
    let code = match &error {
        AppError::Malformed(_) => code::INVALID_PARAMS,
        AppError::TooLong(_) => code::SYSTEM,
        AppError::Unauthenticated(_) => faults::UNAUTHENTICATED,
        AppError::Forbidden(_) => faults::FORBIDDEN,
        AppError::NotFound(_) => faults::NOT_FOUND,
        AppError::Conflict(_) | AppError::Superseded(_) => faults::CONFLICT,
        AppError::Unavailable(_) => code::SYSTEM,
    };
    Fault::new(code, error.to_string())
}

/// A call by somebody who was authenticated.
struct Asked {
    method: Method,
    identity: Identity,
    address: String,
    data: Map<String, Json>,
}

impl Asked {
    async fn read(
        http: &Http,
        peer: &Peer,
        headers: &HeaderMap,
        (method, params): (Method, Vec<Value>),
        callers: &mut Callers,
    ) -> Result<Self, Fault> {
        let name = method.name();
        let wrong = |why: &str| Fault::new(code::INVALID_PARAMS, format!("{name}: {why}"));
        let mut params = params.into_iter();
        let (credentials, data): (Option<Credentials>, Map<String, Json>) =
            match (params.next(), params.next(), params.next()) {
                (Some(Value::Text(id)), None, None) if method == Method::QueryTransaction => {
                    let mut data = Map::new();
                    data.insert("transaction".into(), Json::String(id));
                    (None, data)
                }
                (None, None, None) => (None, Map::new()),
                (Some(credentials), data, None) => {
                    let credentials = from_value_at("credentials", &credentials);
                    let data =
                        data.map_or(Ok(Map::new()), |data| from_value_at("request_data", &data));
                    let read = |e: xmlrpc::TypeError| wrong(&e.to_string());
                    (Some(credentials.map_err(read)?), data.map_err(read)?)
                }
                _ => return Err(wrong("(credentials, request_data) is wanted")),
            };
        let credentials = match credentials {
            Some(credentials) => {
                guard::plain_password(&credentials, peer).map_err(fault)?;
                credentials
            }
            None => guard::credentials(headers, peer).map_err(fault)?,
        };
        let address = peer.address();
        let identity = callers.identity(http, credentials, &address).await;
        Ok(Self {
            identity: identity.map_err(fault)?,
            method,
            address,
            data,
        })
    }

    fn who(&self) -> Requester<'_> {
        Requester {
            identity: &self.identity,
            address: &self.address,
        }
    }

    /// A name in the data, where there is one.
    fn named<T: std::str::FromStr<Err = String>>(&self, key: &str) -> Result<Option<T>, AppError> {
        match self.data.get(key) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::String(text)) => text
                .parse()
                .map(Some)
                .map_err(|e| AppError::Malformed(format!("request_data.{key}: {e}"))),
            Some(_) => Err(AppError::Malformed(format!(
                "request_data.{key}: a string is wanted"
            ))),
        }
    }

    fn transaction(&self) -> Result<TransactionId, AppError> {
        self.named("transaction")?
            .ok_or_else(|| AppError::Malformed("request_data.transaction is missing".into()))
    }

    async fn may(&self, http: &Http, action: &str) -> Result<(), AppError> {
        let ask = Ask {
            action,
            project: None,
            environment: None,
            target: None,
        };
        http.app.authorize(&self.identity, ask).await
    }

    async fn answer(self, http: &Http, began: &mut Vec<TransactionId>) -> Result<Value, AppError> {
        if let Some(action) = self.method.action() {
            self.may(http, action).await?;
        }
        let (app, who) = (&http.app, &self.identity);
        let project: Option<Project> = match self.method {
            Method::RequestAction => None,
            _ => self.named("project")?,
        };
        let environment: Option<Environment> = match self.method {
            Method::RequestAction => None,
            _ => self.named("env")?,
        };
        let (project, environment) = (project.as_ref(), environment.as_ref());
        match self.method {
            Method::RequestAction => {
                let requested = app.request(self.who(), self.data.clone()).await?;
                began.push(requested.transaction.clone());
                Ok(Value::Text(requested.transaction.to_string()))
            }
            Method::CancelTransaction => {
                app.cancel(self.who(), &self.transaction()?).await?;
                Ok(Value::Bool(true))
            }
            Method::Reload => {
                app.reload()?;
                Ok(Value::Bool(true))
            }
            Method::QueryTransaction => {
                let status = app.status(who, &self.transaction()?).await?;
                Ok(Value::Text(status.as_str().into()))
            }
            Method::TransactionHistory => tell(app.history(who, &self.transaction()?).await?),
            Method::ListProjects => tell(app.projects(who).await?),
            Method::ListEnvironments => tell(app.environments(who).await?),
            Method::ListRegistrations => tell(app.agents().await?),
            Method::ListTransactions => {
                let limit = self.data.get("limit").and_then(Json::as_u64).unwrap_or(100);
                let limit = u32::try_from(limit).unwrap_or(u32::MAX);
                tell(app.transactions(who, project, environment, limit).await?)
            }
            Method::ListReleases => tell(app.releases(who, project).await?),
            Method::Where => tell(app.installed(who, project, environment).await?),
        }
    }
}

fn tell(answer: impl Serialize) -> Result<Value, AppError> {
    let wrong = |e: &dyn std::fmt::Display| {
        AppError::Unavailable(format!("the answer cannot be written: {e}"))
    };
    let mut json = serde_json::to_value(answer).map_err(|e| wrong(&e))?;
    without_nulls(&mut json);
    Ok(Value::from(json))
}

/// Takes out the members that say nothing: many clients refuse nil.
fn without_nulls(json: &mut Json) {
    match json {
        Json::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(without_nulls);
        }
        Json::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}
