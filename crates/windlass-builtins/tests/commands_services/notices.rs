//! Metrics and notifications.

use std::time::Duration;

use serde_json::json;
use windlass_model::outcome::Outcome;

use crate::background::{Server, free_port};
use crate::drive::run;

const SOON: Duration = Duration::from_secs(5);

#[test]
fn a_metric_arrives() {
    let carbon = Server::start("\n", Vec::new());
    let args = json!({
        "carbon_host": "127.0.0.1", "carbon_port": carbon.port,
        "metric_name": "deploy.shop.start", "metric_value": 2.5
    });
    assert_eq!(run("send_graphite", args).outcome, Outcome::Changed);
    assert_eq!(
        carbon.heard.recv_timeout(SOON).unwrap(),
        "deploy.shop.start 2.5 1400000000\n"
    );
}

#[test]
fn a_metric_may_be_lost() {
    let args = |go_on: bool| {
        json!({
            "carbon_host": "127.0.0.1", "carbon_port": free_port(),
            "metric_name": "a", "continue_on_fail": go_on
        })
    };
    let done = run("send_graphite", args(true));
    assert!(matches!(done.outcome, Outcome::Skipped(_)), "{done:?}");
    assert!(
        done.said[0].contains("cannot send `a` to carbon"),
        "{done:?}"
    );
    assert!(
        run("send_graphite", args(false))
            .failure()
            .contains("refused")
    );
}

#[test]
fn a_notice_arrives_under_both_names() {
    for name in ["http_notify", "pipeline_notify"] {
        let server = Server::http(&[(202, "")]);
        let args = json!({"url": server.url(), "body": "{\"a\": 1}", "headers": {"Content-Type": "application/json"}});
        assert_eq!(run(name, args).outcome, Outcome::Changed);
        let heard = server.heard.recv_timeout(SOON).unwrap();
        assert!(heard.starts_with("POST /healthz"), "{heard}");
        assert!(
            heard.contains("Content-Type: application/json\r\n"),
            "{heard}"
        );
        assert!(heard.ends_with("{\"a\": 1}"), "{heard}");
    }
}

#[test]
fn a_notice_that_is_refused_is_a_warning_or_a_failure() {
    let server = Server::http(&[(500, "sorry")]);
    let done = run("http_notify", json!({"url": server.url()}));
    assert!(matches!(done.outcome, Outcome::Skipped(_)), "{done:?}");
    assert_eq!(done.said.len(), 1);
    let args = json!({"url": server.url(), "continue_on_fail": false});
    assert!(
        run("http_notify", args)
            .failure()
            .ends_with("status 500, body `sorry`")
    );
}
