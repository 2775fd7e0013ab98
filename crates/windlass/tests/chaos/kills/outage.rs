//! A database that is away for longer than a moment: the manager stays, says so, and goes on by itself.

use std::time::Duration;

use serde_json::{Value, json};

use super::clients::{answered, call, same_again};
use super::stage::{Stage, Store};
use crate::world::word;

/// A request that is answered while there is no database says that it is to be made again.
fn is_told(store: Store) {
    let mut stage = Stage::manager_alone(store);
    let port = stage.port();
    let request =
        |id: &str| json!({"project": "none", "action": "build", "trunk": true, "request_id": id});
    let (status, first) = answered(port, "POST", "transactions", &request("before"));
    assert_eq!(status, 200, "{first}");
    stage.kill_database();
    let asking = [("GET", Value::Null), ("POST", request("meanwhile"))].map(|(method, body)| {
        std::thread::spawn(move || call(port, method, "transactions", &body))
    });
    for asked in asking {
        let (status, answer) = asked.join().unwrap().unwrap();
        assert_eq!(status, 503, "{answer}");
    }
    stage.manager_is_up();
    stage.start_database();
    // Whether the one that was asked for meanwhile was written or not: it is one now.
    let (status, second) = answered(port, "POST", "transactions", &request("meanwhile"));
    assert_eq!(status, 200, "{second}");
    let ids = [&first, &second].map(|answer| word(&answer["transaction"]));
    same_again(port, &ids[0], &request("before"));
    same_again(port, &ids[1], &request("meanwhile"));
    let (_, all) = answered(port, "GET", "transactions", &Value::Null);
    assert_eq!(all.as_array().unwrap().len(), 2, "{all}");
    Stage::soon("it is ready", Duration::from_secs(20), || stage.is_ready());
}

#[test]
fn kills_of_postgresql_are_told_until_it_is_back() {
    is_told(Store::Postgres);
}

#[test]
fn kills_of_mariadb_are_told_until_it_is_back() {
    is_told(Store::MariaDb);
}
