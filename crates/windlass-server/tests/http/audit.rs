//! What the log says of those who are not let in, and what it never says.

use serde_json::json;
use windlass_model::release::AgentKind;
use windlass_wire::connection::Login;
use windlass_wire::xmlrpc::Value;

use crate::support::call::{asked, code, xml};
use crate::support::{Manager, PASSWORD, Setup, basic, joined_by_token, register, users};

#[tokio::test]
async fn failed_logins_are_logged_and_no_secret_is() {
    let manager = Manager::start(Setup {
        auth: users(),
        tokens_on_loopback: true,
        ..Setup::default()
    })
    .await;
    let wrong = json!({"username": "admin\n2026 [INFO] all is well", "password": "hunter2-xml"});
    let params = vec![Value::from(wrong), Value::from(json!({}))];
    assert_eq!(code(&xml(&manager.url, "list_projects", params).await), 401);
    for login in [
        basic("ann", "hunter2-basic"),
        Login::Bearer("hunter2-bearer".into()),
    ] {
        let connection = manager.connection(login);
        assert!(
            connection
                .get::<serde_json::Value>("api/v1/projects")
                .await
                .is_err()
        );
    }
    let login = Login::Bearer("builder:b1:hunter2-agent".into());
    let agent = windlass_wire::agent::AgentClient::new(manager.connection(login));
    assert!(agent.poll(&crate::support::poll("x", 0, 0)).await.is_err());
    let mut bad = register(AgentKind::Builder, "b1", "x");
    bad.token = Some("hunter2-token".into());
    assert!(agent.register(&bad).await.is_err());
    let good = joined_by_token(&manager, register(AgentKind::Builder, "b1", "x")).await;
    asked(&manager.url, "list_projects", "admin", json!({}))
        .await
        .unwrap();
    let mut data = json!({"project": "shop", "action": "build"});
    data["request_id"] = json!("r1");
    asked(&manager.url, "request_action", "admin", data)
        .await
        .unwrap();

    let log = manager.log();
    assert!(
        log.contains("127.0.0.1: wrong credentials of \"ann\""),
        "{log}"
    );
    assert!(
        log.contains("127.0.0.1: wrong credentials of \"admin2026"),
        "{log}"
    );
    assert!(
        log.contains("127.0.0.1: a credential that no agent has"),
        "{log}"
    );
    assert!(
        log.contains("builder b1: a token that is not good"),
        "{log}"
    );
    assert_eq!(log.matches("wrong credentials").count(), 3, "{log}");
    for secret in ["hunter2", PASSWORD, &good.credential.unwrap()] {
        assert!(!log.contains(secret), "{log}");
    }
}
