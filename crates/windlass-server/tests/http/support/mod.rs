//! A manager with users, agents and a release; clients that say exactly what they want to say.

pub(crate) mod call;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use argon2::PasswordHasher;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use windlass_model::release::{Advertisement, AgentKind, Digest, Index, JobId, TransactionId};
use windlass_server::app::{App, Parts};
use windlass_server::auth::{Anonymous, Auth, Identity, Users};
use windlass_server::http::{Bounds, Serving, Tls, serve};
use windlass_server::settings::{EnvironmentSettings, ProjectSettings, Settings};
use windlass_store::{Options, Store, StoreUrl};
use windlass_wire::agent::{AgentClient, Given, PROTOCOL, Poll, Register, Registered};
use windlass_wire::connection::{Connection, Login, WireError};

/// The password of all users.
pub(crate) const PASSWORD: &str = "correct horse";
/// What the release holds.
pub(crate) const CONTENTS: &[u8] = b"what is installed";

/// How a manager is set up.
pub(crate) struct Setup {
    pub(crate) auth: Arc<dyn Auth>,
    pub(crate) tls: Option<Tls>,
    pub(crate) bounds: Bounds,
    pub(crate) request_limit: u64,
    pub(crate) tokens_on_loopback: bool,
    pub(crate) lease: Duration,
    /// What becomes of the settings when they are read again.
    pub(crate) reloaded: fn(&mut Settings),
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            auth: Arc::new(Anonymous),
            tls: None,
            bounds: Bounds::default(),
            request_limit: 1 << 20,
            tokens_on_loopback: false,
            lease: Duration::from_secs(30),
            reloaded: |_| {},
        }
    }
}

/// A manager that is served. Ends with the test's runtime.
pub(crate) struct Manager {
    pub(crate) app: App,
    pub(crate) serving: Serving,
    pub(crate) url: String,
    lines: Arc<Mutex<Vec<String>>>,
    _dir: TempDir,
}

impl Manager {
    pub(crate) async fn start(setup: Setup) -> Self {
        let dir = tempfile::Builder::new().prefix("wl-").tempdir().unwrap();
        let url = StoreUrl::sqlite(dir.path().join("manager.sqlite"));
        let store = Store::open(&url, &Options::default()).await.unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = lines.clone();
        let settings = settings(&setup);
        let mut again = settings.clone();
        (setup.reloaded)(&mut again);
        let app = App::new(Parts {
            store: store.into(),
            directory: dir.path().to_owned(),
            blob_limit: 1 << 30,
            log_limit: 1 << 20,
            settings,
            reload: Arc::new(move || Ok(again.clone())),
            log: Arc::new(move |level, component, message| {
                let line = format!("{level:?} {component} {message}");
                kept.lock().unwrap().push(line);
            }),
        })
        .await
        .unwrap();
        tokio::spawn(app.clone().schedule());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if setup.tls.is_some() { "https" } else { "http" };
        let serving = serve(app.clone(), listener, setup.tls, setup.bounds).unwrap();
        Self {
            url: format!("{scheme}://{}", serving.address),
            app,
            serving,
            lines,
            _dir: dir,
        }
    }

    /// Everything that was logged.
    pub(crate) fn log(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    pub(crate) fn connection(&self, login: Login) -> Connection {
        Connection::new(&self.url, login, None).unwrap()
    }

    pub(crate) fn rest(&self, username: &str) -> windlass_wire::rest::Client {
        windlass_wire::rest::Client::new(self.connection(basic(username, PASSWORD)))
    }

    pub(crate) fn agent(&self, credential: Option<String>) -> AgentClient {
        let login = credential.map_or(Login::Anonymous, Login::Bearer);
        AgentClient::new(self.connection(login))
    }

    /// Registers an agent; gives what it says from then on.
    pub(crate) async fn joined(&self, register: &Register) -> AgentClient {
        let registered = self.agent(None).register(register).await.unwrap();
        self.agent(registered.credential)
    }

    /// Asks for something, as somebody who may do everything.
    pub(crate) async fn requested(&self, data: Value) -> TransactionId {
        let Value::Object(data) = data else { panic!() };
        let identity = somebody("admin");
        let who = windlass_server::app::Requester {
            identity: &identity,
            address: "127.0.0.1",
        };
        let id = self.app.request(who, data).await.unwrap().transaction;
        // else the same request would be the same transaction
        self.app.answered(vec![id.clone()]);
        id
    }

    /// Takes in `shop@VERSION`, or one of another project.
    pub(crate) async fn release(&self, project: &str, version: &str) -> Digest {
        let digest = digest_of(CONTENTS);
        if self.app.blob_offset(&digest).await.unwrap().is_some() {
            let mut upload = self.app.upload(&digest, 0).await.unwrap();
            upload.append(CONTENTS).await.unwrap();
            self.app.uploaded(&digest, upload).await.unwrap();
        }
        let index = index(project, version);
        self.app.import(&somebody("admin"), index).await.unwrap();
        digest
    }
}

/// The index of a release with one file.
pub(crate) fn index(project: &str, version: &str) -> Index {
    let target = if project == "shop" { "web" } else { "page" };
    let item = json!({"name": "a.tgz", "digest": digest_of(CONTENTS), "size": CONTENTS.len()});
    let index = json!({
        "format": 1, "project": project, "version": version, "revision": "17",
        "targets": {target: item},
    });
    serde_json::from_value(index).unwrap()
}

pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    use sha2::Digest as _;
    let hex = data_encoding::HEXLOWER.encode(&sha2::Sha256::digest(bytes));
    hex.parse().unwrap()
}

pub(crate) fn somebody(name: &str) -> Identity {
    Identity {
        name: name.into(),
        about: Map::new(),
    }
}

pub(crate) fn basic(username: &str, password: &str) -> Login {
    Login::Basic {
        username: username.into(),
        password: password.into(),
    }
}

fn settings(setup: &Setup) -> Settings {
    let project = |name: &str, target: &str| {
        let settings = ProjectSettings {
            targets: vec![target.parse().unwrap()],
            ..ProjectSettings::default()
        };
        (name.parse().unwrap(), settings)
    };
    Settings {
        projects: [project("shop", "web"), project("blog", "page")].into(),
        environments: [("prod".parse().unwrap(), EnvironmentSettings::default())].into(),
        auth: setup.auth.clone(),
        lease: setup.lease,
        install_deadline: Duration::from_secs(600),
        build_deadline: Duration::from_secs(600),
        request_limit: setup.request_limit,
        tokens_on_loopback: setup.tokens_on_loopback,
    }
}

/// Users: `idle` without roles, `reader`, `deployer` into `test`, `shopkeeper` of one project, `admin`.
pub(crate) fn users() -> Arc<dyn Auth> {
    let salt = argon2::password_hash::SaltString::from_b64("c2FsdHNhbHRzYWx0").unwrap();
    let params = argon2::Params::new(8, 1, 1, None).unwrap();
    let argon = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let hash = argon.hash_password(PASSWORD.as_bytes(), &salt).unwrap();
    let hash = hash.to_string();
    let user = |roles: Value| json!({"password": hash, "roles": roles});
    let config = json!({
        "users": {
            "idle": user(json!([])),
            "reader": user(json!(["reader"])),
            "deployer": user(json!(["deployer"])),
            "shopkeeper": user(json!(["shopkeeper"])),
            "admin": user(json!(["admin"])),
        },
        "roles": {
            "reader": [{"actions": ["query"]}],
            "deployer": [{"actions": ["query", "build", "install", "cancel"], "environments": ["test"]}],
            "shopkeeper": [{"projects": ["shop"]}],
            "admin": [{}],
        },
    });
    Arc::new(Users::new(serde_json::from_value(config).unwrap()).unwrap())
}

pub(crate) fn register(kind: AgentKind, name: &str, incarnation: &str) -> Register {
    let advertisement = match kind {
        AgentKind::Builder => json!({"projects": ["shop", "blog"]}),
        AgentKind::Installer if name.ends_with('2') => json!({"environments": {"qa": ["web"]}}),
        AgentKind::Installer => json!({"environments": {"test": ["web", "page"]}}),
    };
    let advertisement: Advertisement = serde_json::from_value(advertisement).unwrap();
    Register {
        protocol: PROTOCOL,
        kind,
        name: name.parse().unwrap(),
        incarnation: incarnation.into(),
        token: None,
        slots: 1,
        advertisement,
        held: Vec::new(),
    }
}

pub(crate) fn poll(incarnation: &str, free: u32, wait_seconds: u32) -> Poll {
    Poll {
        incarnation: incarnation.into(),
        free,
        wait_seconds,
        held: Vec::new(),
    }
}

/// The job that an agent is given.
pub(crate) async fn given(agent: &AgentClient, incarnation: &str) -> Given {
    let polled = agent.poll(&poll(incarnation, 1, 10)).await.unwrap();
    polled.jobs.into_iter().next().expect("a job")
}

/// Registers with a token made for it.
pub(crate) async fn joined_by_token(manager: &Manager, mut register: Register) -> Registered {
    let (token, _) = manager.app.agent_token().await.unwrap();
    register.token = Some(token);
    manager.agent(None).register(&register).await.unwrap()
}

pub(crate) fn denied(error: &WireError) -> bool {
    matches!(error, WireError::Denied(_))
}

pub(crate) fn job(text: &str) -> JobId {
    text.parse().unwrap()
}
