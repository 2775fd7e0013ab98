//! What somebody may do to one project they may not do to another.

use serde_json::json;
use windlass_model::release::{AgentKind, machine::Settled};
use windlass_wire::connection::WireError;
use windlass_wire::rest::Settle;

use crate::support::call::{asked, code};
use crate::support::{CONTENTS, Manager, Setup, denied, given, index, register, users};

fn refused<T: std::fmt::Debug>(answer: Result<T, WireError>) {
    match answer {
        Err(error) if denied(&error) => assert!(error.to_string().contains("may not"), "{error}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn nothing_of_another_project_is_seen_or_changed() {
    let manager = Manager::start(Setup {
        auth: users(),
        ..Setup::default()
    })
    .await;
    let builder = manager
        .joined(&register(AgentKind::Builder, "b1", "x"))
        .await;
    let installer = manager
        .joined(&register(AgentKind::Installer, "i1", "x"))
        .await;
    for project in ["shop", "blog"] {
        manager.release(project, "1").await;
        let release = format!("{project}@1");
        let ask =
            json!({"project": project, "action": "install", "env": "test", "release": release});
        manager.requested(ask).await;
        let job = given(&installer, "x").await;
        installer.start(&job.job, job.epoch).await.unwrap();
        let finish = serde_json::from_value(
            json!({"epoch": job.epoch, "outcome": {"outcome": "installed", "rows": []}}),
        );
        installer.finish(&job.job, &finish.unwrap()).await.unwrap();
    }
    let build = manager
        .requested(json!({"project": "blog", "action": "build"}))
        .await;
    let job = given(&builder, "x").await;

    let shop = manager.rest("shopkeeper");
    let names = |count: usize, seen: Vec<String>| {
        assert_eq!(seen, vec!["shop".to_owned(); count]);
    };
    let seen = shop.transactions(None, 100).await.unwrap();
    names(1, seen.iter().map(|t| t.project.to_string()).collect());
    let seen = shop.releases(None).await.unwrap();
    names(
        1,
        seen.iter().map(|r| r.release.project.to_string()).collect(),
    );
    let seen = shop.projects().await.unwrap();
    names(1, seen.iter().map(|p| p.project.to_string()).collect());
    let seen = shop.installed(None, None).await.unwrap();
    names(1, seen.iter().map(|i| i.project.to_string()).collect());
    let blog = "blog".parse().unwrap();
    assert_eq!(shop.transactions(Some(&blog), 100).await, Ok(vec![]));
    assert_eq!(shop.releases(Some(&blog)).await, Ok(vec![]));

    refused(shop.transaction(&build).await);
    refused(shop.history(&build).await);
    refused(shop.log(&build, &job.job, 0).await);
    refused(shop.cancel(&build).await);
    let settled = Settled::Done;
    refused(shop.settle(&build, &job.job, Settle { settled }).await);
    refused(shop.reject(&"blog@1".parse().unwrap(), "no").await);
    let connection = shop.connection();
    let blog = index("blog", "2");
    let import = connection.post::<serde_json::Value>("api/v1/releases", &blog);
    refused(import.await);
    refused(
        connection
            .get::<serde_json::Value>("api/v1/releases/blog/1/page")
            .await,
    );
    for method in [
        "query_transaction",
        "transaction_history",
        "cancel_transaction",
    ] {
        let data = json!({"transaction": build});
        let answer = asked(&manager.url, method, "shopkeeper", data).await;
        assert_eq!(code(&answer), 403, "{method}");
    }
    for method in [
        "list_transactions",
        "list_releases",
        "list_projects",
        "where",
    ] {
        let answer = asked(&manager.url, method, "shopkeeper", json!({})).await;
        assert_eq!(answer.unwrap().as_array().unwrap().len(), 1, "{method}");
    }

    let all = manager.rest("admin");
    assert_eq!(all.transactions(None, 100).await.unwrap().len(), 3);
    assert_eq!(all.transactions(None, 1).await.unwrap().len(), 1);
    let path = tempfile::NamedTempFile::new().unwrap();
    let from = "api/v1/releases/shop/1/web";
    shop.connection().get_file(from, path.path()).await.unwrap();
    assert_eq!(std::fs::read(path.path()).unwrap(), CONTENTS);
}

#[tokio::test]
async fn environments_count_as_projects_do() {
    let manager = Manager::start(Setup {
        auth: users(),
        ..Setup::default()
    })
    .await;
    let _installer = manager
        .joined(&register(AgentKind::Installer, "i2", "x"))
        .await;
    manager.release("shop", "1").await;
    let ask = json!({"project": "shop", "action": "install", "env": "qa", "release": "shop@1"});
    let id = manager.requested(ask).await;
    let deployer = manager.rest("deployer");
    refused(deployer.transaction(&id).await);
    refused(deployer.cancel(&id).await);
    assert_eq!(deployer.environments().await, Ok(vec![]));
    assert_eq!(
        manager.rest("reader").environments().await.unwrap().len(),
        2
    );
}

#[tokio::test]
async fn a_page_is_full_where_most_is_hidden() {
    let manager = Manager::start(Setup {
        auth: users(),
        ..Setup::default()
    })
    .await;
    for n in 0..130 {
        let project = if n < 3 { "shop" } else { "blog" };
        manager
            .requested(
                json!({"project": project, "action": "build", "request_id": format!("r{n}")}),
            )
            .await;
    }
    let seen = manager.rest("shopkeeper").transactions(None, 2).await;
    assert_eq!(seen.unwrap().len(), 2);
}
