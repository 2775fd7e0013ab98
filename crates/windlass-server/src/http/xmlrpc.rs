//! XML-RPC at `/` and `/RPC2`: the seed's interface.

use std::sync::LazyLock;

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
    self, Call, Characters, EncodeOptions, Fault, Limits, MethodTable, Response, Value, code,
    from_value_at, multicall,
};

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

static METHODS: LazyLock<MethodTable> = LazyLock::new(|| {
    let both: &[&[&'static str]] = &[&["array", "struct", "struct"], &["array"]];
    MethodTable::new()
        .with(
            "request_action",
            &[&["string", "struct", "struct"]],
            "Asks for an action: (credentials, request_data) -> transaction id. request_data: project, action (build, install), \
             env for an install, at most one of trunk, branch, tag, url, with revision; or release. request_id makes a repeated \
             call answer the same id.",
        )
        .with(
            "query_transaction",
            &[&["string", "string"], &["string", "struct", "struct"]],
            "The status of a transaction, by (transaction id) or (credentials, {transaction}): STARTED, BUILD_COMPLETED, \
             INSTALL_COMPLETED, or REJECTED, BUILD_FAILED, INSTALL_FAILED, CANCELLED, UNKNOWN.",
        )
        .with(
            "transaction_history",
            &[&["array", "struct", "struct"]],
            "(credentials, {transaction}) -> structs of time, actor, address, what, detail; oldest first.",
        )
        .with("list_projects", both, "(credentials, {}) -> the projects, their targets and builders.")
        .with("list_environments", both, "(credentials, {}) -> the environments, their targets and installers.")
        .with("list_registrations", both, "(credentials, {}) -> the builders and installers that registered.")
        .with("list_transactions", both, "(credentials, {project, env, limit}) -> transactions, newest first.")
        .with("list_releases", both, "(credentials, {project}) -> releases, newest first.")
        .with("where", both, "(credentials, {project, env}) -> what is installed where.")
        .with(
            "cancel_transaction",
            &[&["boolean", "struct", "struct"]],
            "(credentials, {transaction}) -> true; what runs settles first.",
        )
        .with("reload", &[&["boolean", "struct", "struct"]], "(credentials, {}) -> true: the config was read again.")
});

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
    let bytes = body::inflated(headers, body, limit).await;
    let bytes = bytes.map_err(|e| Fault::new(code::TRANSPORT, e.to_string()))?;
    let limits = Limits {
        bytes: usize::try_from(limit).unwrap_or(usize::MAX),
        ..Limits::default()
    };
    let call = xmlrpc::decode_call(&bytes, &limits).map_err(Fault::from)?;
    if call.method != multicall::METHOD {
        return one(http, peer, headers, call, requested).await;
    }
    let mut responses = Vec::new();
    for call in multicall::unpack(call.params)? {
        responses.push(match call {
            Ok(call) => one(http, peer, headers, call, requested).await,
            Err(fault) => Err(fault),
        });
    }
    Ok(multicall::pack(responses))
}

async fn one(
    http: &Http,
    peer: &Peer,
    headers: &HeaderMap,
    call: Call,
    requested: &mut Vec<TransactionId>,
) -> Response {
    #[cfg(feature = "validator1")]
    if let Some(response) = xmlrpc::validator1::answer(&call) {
        return response;
    }
    if let Some(response) = METHODS.answer(&call) {
        return response;
    }
    let asked = Asked::read(http, peer, headers, call).await?;
    asked.answer(http, requested).await.map_err(fault)
}

fn fault(error: AppError) -> Fault {
    let code = match &error {
        AppError::Malformed(_) => code::INVALID_PARAMS,
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
    method: String,
    identity: Identity,
    address: String,
    data: Map<String, Json>,
}

impl Asked {
    async fn read(
        http: &Http,
        peer: &Peer,
        headers: &HeaderMap,
        call: Call,
    ) -> Result<Self, Fault> {
        let method = call.method;
        let wrong = |why: &str| Fault::new(code::INVALID_PARAMS, format!("{method}: {why}"));
        let mut params = call.params.into_iter();
        let (credentials, data): (Option<Credentials>, Map<String, Json>) =
            match (params.next(), params.next(), params.next()) {
                (Some(Value::Text(id)), None, None) if method == "query_transaction" => {
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
        let identity = http.app.authenticate(&credentials, &address).await;
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
        let app = &http.app;
        match self.method.as_str() {
            "request_action" => {
                let requested = app.request(self.who(), self.data.clone()).await?;
                began.push(requested.transaction.clone());
                return Ok(Value::Text(requested.transaction.to_string()));
            }
            "cancel_transaction" => {
                self.may(http, "cancel").await?;
                app.cancel(self.who(), &self.transaction()?).await?;
                return Ok(Value::Bool(true));
            }
            "reload" => {
                self.may(http, "reload").await?;
                app.reload()?;
                return Ok(Value::Bool(true));
            }
            _ => self.may(http, "query").await?,
        }
        let project: Option<Project> = self.named("project")?;
        let environment: Option<Environment> = self.named("env")?;
        let (project, environment) = (project.as_ref(), environment.as_ref());
        match self.method.as_str() {
            "query_transaction" => {
                let status = app.status(&self.transaction()?).await?;
                Ok(Value::Text(status.as_str().into()))
            }
            "transaction_history" => tell(app.history(&self.transaction()?).await?),
            "list_projects" => tell(app.projects().await?),
            "list_environments" => tell(app.environments().await?),
            "list_registrations" => tell(app.agents().await?),
            "list_transactions" => {
                let limit = self.data.get("limit").and_then(Json::as_u64).unwrap_or(100);
                let limit = u32::try_from(limit).unwrap_or(u32::MAX);
                tell(app.transactions(project, environment, limit).await?)
            }
            "list_releases" => tell(app.releases(project).await?),
            "where" => tell(app.installed(project, environment).await?),
            other => Err(AppError::NotFound(format!("there is no method {other:?}"))),
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
