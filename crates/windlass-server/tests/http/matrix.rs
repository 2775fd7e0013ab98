//! Every endpoint and every method, called as everybody. An endpoint or a method without a row does not compile.

use futures_util::StreamExt;
use serde_json::{Value as Json, json};
use windlass_model::release::{AgentKind, Digest, Epoch, JobId, TransactionId};
use windlass_server::http::{Endpoint, Method};
use windlass_wire::agent::AgentClient;
use windlass_wire::xmlrpc::{Value, request};

use crate::support::call::{code, read, reqwest_client, xml};
use crate::support::{
    CONTENTS, Manager, PASSWORD, Setup, given, index, joined_by_token, poll, register, users,
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    /// No credentials at all.
    Nobody,
    /// An admin's name, another password.
    WrongPassword,
    /// A user without roles.
    NoRoles,
    /// May only `query`.
    Reader,
    /// May build and install into `test`, ask and cancel.
    Deployer,
    /// May do everything.
    Admin,
    /// The agent that has the job.
    OwnAgent,
    /// An agent of that kind, without it.
    OtherAgent,
    /// The credential that the agent had before it registered anew.
    OldCredential,
}

use Role::*;

const ROLES: [Role; 9] = [
    Nobody,
    WrongPassword,
    NoRoles,
    Reader,
    Deployer,
    Admin,
    OwnAgent,
    OtherAgent,
    OldCredential,
];

type Row = [i64; 9];

const OPEN: Row = [200; 9];
const QUERY: Row = [401, 401, 403, 200, 200, 200, 401, 401, 401];
const CANCEL: Row = [401, 401, 403, 403, 200, 200, 401, 401, 401];
const ADMIN: Row = [401, 401, 403, 403, 403, 200, 401, 401, 401];
/// What somebody may not do is recorded, and REJECTED: see `no_permission_is_recorded`.
const REQUEST: Row = [401, 401, 200, 200, 200, 200, 401, 401, 401];
const AGENT: Row = [401, 401, 401, 401, 401, 401, 200, 409, 401];

/// What each role gets, in the order of `ROLES`.
fn of_endpoint(endpoint: Endpoint) -> Row {
    match endpoint {
        // `list_projects`
        Endpoint::XmlRpcRoot | Endpoint::XmlRpc => QUERY,
        Endpoint::Healthz | Endpoint::Readyz => OPEN,
        Endpoint::Metrics => QUERY,
        Endpoint::Request => REQUEST,
        Endpoint::Transactions
        | Endpoint::Transaction
        | Endpoint::History
        | Endpoint::JobLog
        | Endpoint::Projects
        | Endpoint::Environments
        | Endpoint::Agents
        | Endpoint::Releases
        | Endpoint::ReleaseBlob
        | Endpoint::Installed => QUERY,
        Endpoint::Cancel => CANCEL,
        // there is nothing unknown to settle
        Endpoint::Settle => [401, 401, 403, 403, 403, 422, 401, 401, 401],
        // the release was imported, so there is no history to write it into
        Endpoint::Deployed => [401, 401, 403, 403, 403, 422, 401, 401, 401],
        Endpoint::RemoveAgent
        | Endpoint::DrainAgent
        | Endpoint::ResumeAgent
        | Endpoint::AgentToken
        | Endpoint::RejectRelease
        | Endpoint::ImportRelease
        | Endpoint::ImportBlob
        | Endpoint::HasImportBlob
        | Endpoint::Prune
        | Endpoint::Reload => ADMIN,
        // tokens are wanted on loopback too
        Endpoint::Register => [401, 401, 401, 401, 401, 401, 200, 401, 401],
        // each polls for itself
        Endpoint::Poll => [401, 401, 401, 401, 401, 401, 200, 200, 401],
        Endpoint::Start
        | Endpoint::Finish
        | Endpoint::Probe
        | Endpoint::AppendLog
        | Endpoint::HasBlob
        | Endpoint::PutBlob
        | Endpoint::GetBlob => AGENT,
    }
}

fn of_method(method: Method) -> Row {
    match method {
        Method::RequestAction => REQUEST,
        Method::QueryTransaction
        | Method::TransactionHistory
        | Method::ListProjects
        | Method::ListEnvironments
        | Method::ListRegistrations
        | Method::ListTransactions
        | Method::ListReleases
        | Method::Where => QUERY,
        Method::CancelTransaction => CANCEL,
        Method::Reload => ADMIN,
    }
}

/// A manager where a builder has a job, an installer has one, and others have none.
struct Scene {
    manager: Manager,
    digest: Digest,
    install: TransactionId,
    build: TransactionId,
    builds: Job,
    installs: Job,
}

/// A job and the credentials around it.
struct Job {
    id: JobId,
    epoch: Epoch,
    own: String,
    other: String,
    old: String,
}

impl Scene {
    async fn new() -> Self {
        let manager = Manager::start(Setup {
            auth: users(),
            tokens_on_loopback: true,
            ..Setup::default()
        })
        .await;
        let digest = manager.release("shop", "1").await;
        let mut credentials = Vec::new();
        for (kind, name) in [
            (AgentKind::Builder, "b1"),
            (AgentKind::Builder, "b1"),
            (AgentKind::Builder, "b2"),
            (AgentKind::Installer, "i1"),
            (AgentKind::Installer, "i1"),
            (AgentKind::Installer, "i2"),
        ] {
            let joined = joined_by_token(&manager, register(kind, name, "first")).await;
            credentials.push(joined.credential.unwrap());
        }
        let build = manager
            .requested(json!({"project": "shop", "action": "build"}))
            .await;
        let ask =
            json!({"project": "shop", "action": "install", "env": "test", "release": "shop@1"});
        let install = manager.requested(ask).await;
        let mut jobs = Vec::new();
        for [old, own, other] in
            [[0, 1, 2], [3, 4, 5]].map(|of| of.map(|n: usize| credentials[n].clone()))
        {
            let agent: AgentClient = manager.agent(Some(own.clone()));
            let job = given(&agent, "first").await;
            jobs.push(Job {
                id: job.job,
                epoch: job.epoch,
                own,
                other,
                old,
            });
        }
        let installs = jobs.pop().unwrap();
        let builds = jobs.pop().unwrap();
        Self {
            manager,
            digest,
            install,
            build,
            builds,
            installs,
        }
    }

    /// The job that an endpoint is tried with: what installers call with that of an installer.
    fn job(&self, endpoint: Endpoint) -> &Job {
        match endpoint {
            Endpoint::HasBlob | Endpoint::GetBlob | Endpoint::Probe => &self.installs,
            _ => &self.builds,
        }
    }

    fn path(&self, endpoint: Endpoint) -> String {
        let job = self.job(endpoint);
        let transaction = match endpoint {
            Endpoint::Settle | Endpoint::JobLog => &self.build,
            _ => &self.install,
        };
        let kind = "installer";
        let path = endpoint
            .path()
            .replace("{id}", transaction.as_str())
            .replace("{job}", job.id.as_str())
            .replace("{kind}", kind)
            .replace("{name}", "i2")
            .replace("{project}", "shop")
            .replace("{version}", "1")
            .replace("{target}", "web")
            .replace("{digest}", &self.digest.to_string());
        assert!(!path.contains('{'), "{path}");
        let query = match endpoint {
            Endpoint::AppendLog => format!("?epoch={}&offset=0", job.epoch),
            Endpoint::HasBlob | Endpoint::GetBlob | Endpoint::PutBlob => format!("?job={}", job.id),
            _ => String::new(),
        };
        format!("{}{path}{query}", self.manager.url)
    }

    fn body(&self, endpoint: Endpoint) -> Vec<u8> {
        let epoch = self.job(endpoint).epoch;
        let json = match endpoint {
            Endpoint::XmlRpcRoot | Endpoint::XmlRpc => {
                return request("list_projects", vec![]).unwrap();
            }
            Endpoint::PutBlob | Endpoint::ImportBlob | Endpoint::AppendLog => {
                return CONTENTS.to_vec();
            }
            Endpoint::Request => {
                json!({"project": "shop", "action": "install", "env": "test", "release": "shop@1"})
            }
            Endpoint::Settle => json!({"settled": "done"}),
            Endpoint::Prune => json!({"days": 30}),
            Endpoint::RejectRelease => json!({"reason": "broken"}),
            Endpoint::Deployed => json!({"run": "20261122-1", "by": "me@here", "end": "succeeded"}),
            Endpoint::ImportRelease => serde_json::to_value(index("shop", "2")).unwrap(),
            Endpoint::Register => {
                serde_json::to_value(register(AgentKind::Builder, "b1", "second")).unwrap()
            }
            Endpoint::Poll => serde_json::to_value(poll("first", 0, 0)).unwrap(),
            Endpoint::Start => json!({"epoch": epoch}),
            Endpoint::Finish => {
                json!({"epoch": epoch, "outcome": {"outcome": "failed", "why": "no", "rows": []}})
            }
            Endpoint::Probe => json!({"epoch": epoch, "verdict": {"verdict": "not_begun"}}),
            _ => Json::Null,
        };
        serde_json::to_vec(&json).unwrap()
    }

    fn login(&self, role: Role, job: &Job) -> Login {
        match role {
            Nobody => Login::None,
            WrongPassword => Login::User("admin", "wrong"),
            NoRoles => Login::User("idle", PASSWORD),
            Reader => Login::User("reader", PASSWORD),
            Deployer => Login::User("deployer", PASSWORD),
            Admin => Login::User("admin", PASSWORD),
            OwnAgent => Login::Token(job.own.clone()),
            OtherAgent => Login::Token(job.other.clone()),
            OldCredential => Login::Token(job.old.clone()),
        }
    }

    async fn call(&self, endpoint: Endpoint, role: Role) -> i64 {
        let method = endpoint.method().parse().unwrap();
        let call = reqwest_client().request(method, self.path(endpoint));
        let call = match self.login(role, self.job(endpoint)) {
            Login::None => call,
            Login::User(name, password) => call.basic_auth(name, Some(password)),
            Login::Token(token) => call.bearer_auth(token),
        };
        let answer = call.body(self.body(endpoint)).send().await.unwrap();
        let status = i64::from(answer.status().as_u16());
        if matches!(endpoint, Endpoint::XmlRpc | Endpoint::XmlRpcRoot) {
            assert_eq!(status, 200);
            return code(&read(&answer.bytes().await.unwrap()));
        }
        if status == 401 {
            assert!(answer.headers().contains_key("www-authenticate"));
        }
        status
    }

    async fn call_method(&self, method: Method, role: Role) -> i64 {
        let credentials = match self.login(role, &self.builds) {
            Login::None => json!({}),
            Login::User(name, password) => json!({"username": name, "password": password}),
            Login::Token(token) => json!({"token": token}),
        };
        let data = match method {
            Method::RequestAction => json!({"project": "shop", "action": "build"}),
            Method::QueryTransaction | Method::TransactionHistory | Method::CancelTransaction => {
                json!({"transaction": self.install})
            }
            _ => json!({}),
        };
        let params = [credentials, data].map(Value::from).to_vec();
        code(&xml(&self.manager.url, method.name(), params).await)
    }
}

enum Login {
    None,
    User(&'static str, &'static str),
    Token(String),
}

/// Calls as every role; a scene that somebody could change is not used again.
async fn wrong_cells<F>(what: String, row: Row, is_reading: bool, call: F) -> Vec<String>
where
    F: AsyncFn(&Scene, Role) -> i64,
{
    let mut wrong = Vec::new();
    let mut scene = None;
    for (role, wanted) in ROLES.into_iter().zip(row) {
        let here = match scene.take() {
            Some(scene) => scene,
            None => Scene::new().await,
        };
        let status = call(&here, role).await;
        if status != wanted {
            wrong.push(format!("{what} as {role:?}: {status}, not {wanted}"));
        }
        if is_reading || status >= 400 {
            scene = Some(here);
        }
    }
    wrong
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_endpoint_as_everybody() {
    let cells = Endpoint::ALL.iter().map(|endpoint| async move {
        let endpoint = *endpoint;
        let is_reading = endpoint.method() == "GET" || endpoint.method() == "HEAD";
        let row = of_endpoint(endpoint);
        let call = async |scene: &Scene, role| scene.call(endpoint, role).await;
        wrong_cells(format!("{endpoint:?}"), row, is_reading, call).await
    });
    let wrong: Vec<Vec<String>> = futures_util::stream::iter(cells)
        .buffer_unordered(8)
        .collect()
        .await;
    assert!(wrong.concat().is_empty(), "{:#?}", wrong.concat());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_method_as_everybody() {
    let cells = Method::ALL.iter().map(|method| async move {
        let method = *method;
        let is_reading = method.action() == Some("query");
        let call = async |scene: &Scene, role| scene.call_method(method, role).await;
        wrong_cells(format!("{method:?}"), of_method(method), is_reading, call).await
    });
    let wrong: Vec<Vec<String>> = futures_util::stream::iter(cells)
        .buffer_unordered(8)
        .collect()
        .await;
    assert!(wrong.concat().is_empty(), "{:#?}", wrong.concat());
}

#[tokio::test]
async fn no_permission_is_recorded() {
    let scene = Scene::new().await;
    for user in ["idle", "reader", "deployer"] {
        let ask = json!({"project": "shop", "action": "install", "env": "qa", "release": "shop@1"});
        let Json::Object(ask) = ask else { panic!() };
        let requested = scene.manager.rest(user).request(&ask).await.unwrap();
        assert_eq!(requested.status.as_str(), "REJECTED");
        let admin = scene.manager.rest("admin");
        let history = admin.history(&requested.transaction).await.unwrap();
        let why = &history.last().unwrap().detail;
        assert!(
            why.starts_with(&format!("no permission: {user} may not install")),
            "{why}"
        );
    }
}
