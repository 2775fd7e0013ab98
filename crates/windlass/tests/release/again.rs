//! A request that is sent again.

use std::time::Duration;

use serde_json::{Value, json};

use crate::http::ask;
use crate::service::{Form, until};
use crate::world::World;

/// Sends a request and resets the connection before any answer can be read.
fn send_and_reset(world: &World, body: &str) {
    // Closing with a linger of nothing is a reset.
    let script = r#"
import socket, struct, sys
link = socket.create_connection(("127.0.0.1", PORT))
link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
link.sendall(b"POST /api/v1/transactions HTTP/1.1\r\nHost: localhost\r\nContent-Length: LENGTH\r\n\r\n" + b'BODY')
link.close()
"#;
    let script = script.replace("PORT", &world.port.to_string());
    let script = script.replace("LENGTH", &body.len().to_string());
    world.python(&script.replace("BODY", body));
}

#[test]
fn what_was_not_answered_is_the_same_request_and_what_was_answered_is_another() {
    let world = World::new(Form::Yaml);
    let (_manager, mut builder, _installers) = world.all(1);
    builder.kill();
    for n in 0..10 {
        let body = json!({"project": "template", "action": "build", "trunk": true, "n": n});
        send_and_reset(&world, &body.to_string());
        // It is taken, or nobody ever saw it.
        std::thread::sleep(Duration::from_millis(50));
        let mine = |rows: &Value| rows.as_array().unwrap().len();
        let taken = mine(&world.get("transactions?limit=1000"));
        let first = world.request(&body);
        let all = mine(&world.get("transactions?limit=1000"));
        assert!(all == taken || all == taken + 1);
        assert_eq!(
            all - 2 * n,
            1,
            "one transaction for the request that was reset"
        );
        // Its answer was heard: the next one is a new one.
        let second = world.request(&body);
        assert_ne!(first, second);
    }
}

#[test]
fn a_request_id_is_the_same_request_for_ever() {
    let world = World::new(Form::Yaml);
    let (mut manager, _builder, _installers) = world.all(1);
    let request = json!({"trunk": true, "request_id": "mine-1"});
    let id = world.installed(&request);
    assert_eq!(world.install(&request), id);
    manager.kill();
    world.up(&mut manager);
    assert_eq!(world.install(&request), id);
    assert_ne!(
        world.install(&json!({"trunk": true, "request_id": "mine-2"})),
        id
    );
    // The client of Python, which sends again what was reset, without being told to.
    let script = r#"
from xmlrpc.client import ServerProxy
relman = ServerProxy("http://localhost:10000")
ids = [relman.request_action({}, dict(project="template", trunk=True, action="build")) for n in range(20)]
print(len(set(ids)))
"#;
    let said = world.python(&script.replace("10000", &world.port.to_string()));
    assert_eq!(said, "20\n");
    until("all is built", || {
        let rows = world.get("transactions?limit=1000");
        let open = rows
            .as_array()?
            .iter()
            .any(|row| row["status"] == "STARTED");
        (!open).then_some(())
    });
    assert!(ask(world.port, "GET", "/healthz", "").is_some());
}
