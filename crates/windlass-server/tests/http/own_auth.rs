//! An auth plugin of one's own, in Python.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Map, json};
use windlass_plugin::{Limits, PluginSpec, Worker, clean_environment};
use windlass_server::auth::Exec;
use windlass_wire::xmlrpc::{Response, Value};

use crate::support::call::{code, xml};
use crate::support::{Manager, Setup};

/// Lets one user in, who may build. Dies, hangs and complains for others.
const PLUGIN: &str = r#"
import os, time
from releasemanager.auth import AuthPlugin


class SimpleAuth(AuthPlugin):
    def authenticate(self, credentials):
        name = credentials.get("username")
        if name == "killer":
            os._exit(3)
        if name == "sleeper":
            time.sleep(3600)
        if name == "loud":
            raise ValueError("what is %s?" % credentials["password"])
        if name == "ann" and credentials.get("password") == self.config["word"]:
            return {"username": name, "team": "web"}
        return None

    def authorize(self, identity, action, project, environment, target):
        if identity["team"] == "web" and action in ("build", "query"):
            return True
        return "the web team builds, and %s is for others" % action
"#;

async fn manager(dir: &Path) -> (Manager, Arc<Mutex<Vec<String>>>) {
    let file = dir.join("simpleauth.py");
    std::fs::write(&file, PLUGIN).unwrap();
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../python");
    let mut env = clean_environment(std::env::vars());
    env.push(("PYTHONPATH".into(), python.display().to_string()));
    let file = file.display().to_string();
    let program = ["python3", "-u", "-m", "windlass_worker", &file];
    let spec = PluginSpec {
        name: "plugins/auth/simpleauth.py".into(),
        program: program.map(str::to_owned).to_vec(),
        directory: dir.to_owned(),
        env,
        limits: Limits {
            call_time: Duration::from_secs(2),
            close_time: Duration::from_millis(200),
            ..Limits::default()
        },
    };
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = lines.clone();
    let log: windlass_plugin::Log = Arc::new(move |line| kept.lock().unwrap().push(line.message));
    let mut config = Map::new();
    config.insert("word".into(), json!("sesame"));
    let worker = Arc::new(Worker::new(spec, log.clone()));
    let manager = Manager::start(Setup {
        auth: Arc::new(Exec::new(worker, config, log)),
        ..Setup::default()
    })
    .await;
    (manager, lines)
}

async fn ask(manager: &Manager, name: &str, password: &str, method: &str) -> Response {
    let credentials = json!({"username": name, "password": password});
    let data = json!({"project": "shop", "action": "build"});
    let params = [credentials, data].map(Value::from).to_vec();
    xml(&manager.url, method, params).await
}

#[tokio::test]
async fn a_plugin_says_who_may_do_what() {
    let dir = tempfile::tempdir().unwrap();
    let (manager, _) = manager(dir.path()).await;
    assert!(
        ask(&manager, "ann", "sesame", "list_projects")
            .await
            .is_ok()
    );
    assert_eq!(
        code(&ask(&manager, "ann", "wrong", "list_projects").await),
        401
    );
    assert_eq!(
        code(&ask(&manager, "bob", "sesame", "list_projects").await),
        401
    );
    let fault = ask(&manager, "ann", "sesame", "reload").await.unwrap_err();
    assert_eq!(fault.code, 403);
    assert_eq!(fault.text, "the web team builds, and reload is for others");
    assert!(
        ask(&manager, "ann", "sesame", "request_action")
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_plugin_that_dies_or_hangs_lets_nobody_in() {
    let dir = tempfile::tempdir().unwrap();
    let (manager, _) = manager(dir.path()).await;
    for name in ["killer", "sleeper", "loud", "killer"] {
        let began = Instant::now();
        let fault = ask(&manager, name, "hunter2", "list_projects")
            .await
            .unwrap_err();
        assert_eq!(fault.code, -32400, "{name}: {fault}");
        assert_eq!(
            fault.text,
            "authentication cannot be done: see the manager's log"
        );
        assert!(began.elapsed() < Duration::from_secs(10), "{name}");
        // the next call starts it again
        assert!(
            ask(&manager, "ann", "sesame", "list_projects")
                .await
                .is_ok(),
            "{name}"
        );
    }
    let log = manager.log();
    assert_eq!(
        log.matches("authentication cannot be done").count(),
        4,
        "{log}"
    );
    assert!(log.contains("exit status 3"), "{log}");
    assert!(log.contains("what is ***?"), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}

#[tokio::test]
async fn many_ask_a_plugin_that_hangs_and_all_are_answered() {
    let dir = tempfile::tempdir().unwrap();
    let (manager, _) = manager(dir.path()).await;
    let began = Instant::now();
    let asks = (0..40).map(|_| ask(&manager, "sleeper", "x", "list_projects"));
    for answer in futures_util::future::join_all(asks).await {
        assert_eq!(code(&answer), -32400);
    }
    assert!(began.elapsed() < Duration::from_secs(25));
}
