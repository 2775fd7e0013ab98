//! Tests of shapes, against what schemars makes.

use std::collections::BTreeMap;

use insta::assert_snapshot;
use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use super::*;
use crate::text::Text;
use crate::tree::{decode, parse_json};

/// Doc comments make `oneOf`, no doc comments make `enum`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Action {
    /// Begins.
    Start,
    /// Ends.
    Stop,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only the shape is looked at")]
enum Share {
    Count(u32),
    Percent(String),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only the shape is looked at")]
struct Args {
    source: String,
    #[schemars(length(min = 1))]
    destination: String,
    #[serde(default)]
    clobber: bool,
    #[schemars(range(min = 1))]
    concurrency: Option<u32>,
    port: Option<u16>,
    action: Option<Action>,
    password: Option<Text>,
    #[serde(default)]
    env: BTreeMap<String, Text>,
    #[serde(default)]
    words: Vec<String>,
    share: Option<Share>,
    ratio: Option<f64>,
    any: Option<serde_json::Value>,
}

fn check(text: &str) -> String {
    let shape = Shape::new(schema_for!(Args).as_value());
    let source = Source::new("t.json", text);
    let node = parse_json(&source).unwrap();
    let found = shape.check(
        node.as_map().unwrap(),
        &Where {
            source: Some(&source),
            path: &"stages[0].tasks[0]",
            task: Some(&"stage \"A\", task 1.1.1 (upload)"),
            of: &"command `upload`",
            whole: &node,
        },
    );
    if found.0.is_empty() {
        let decoded = decode::<Args>(&node);
        assert!(
            decoded.is_ok(),
            "the shape lets pass what cannot be decoded: {:?}",
            decoded.err()
        );
    }
    found.to_string()
}

#[test]
fn what_fits_passes() {
    assert_eq!(check(r#"{"source": "a", "destination": "b"}"#), "");
    let all = r#"{"source": "a", "destination": "b", "clobber": true, "concurrency": 1, "port": 80, "action": "stop",
        "password": {"$secret": {"env": "X"}}, "env": {"A": "x", "B": 1, "C": {"$secret": {"file": "/x"}}},
        "words": ["a"], "share": "25%", "ratio": 1, "any": {"a": {"$secret": {"env": "X"}}}}"#;
    assert_eq!(check(all), "");
    let nulls = r#"{"source": "a", "destination": "b", "concurrency": null, "action": null, "password": null, "share": null}"#;
    assert_eq!(check(nulls), "");
}

#[test]
fn all_faults_come_at_once() {
    assert_snapshot!(check(r#"{"sorce": "a", "remote_hots": "h", "completely": 1}"#), @r#"
error: t.json:1:2: unknown key `sorce` of command `upload`
  |
1 | {"sorce": "a", "remote_hots": "h", "completely": 1}
  |  ^^^^^^^
  = key: stages[0].tasks[0].sorce
  = in: stage "A", task 1.1.1 (upload)
  = hint: did you mean `source`?
error: t.json:1:16: unknown key `remote_hots` of command `upload`
  |
1 | {"sorce": "a", "remote_hots": "h", "completely": 1}
  |                ^^^^^^^^^^^^^
  = key: stages[0].tasks[0].remote_hots
  = in: stage "A", task 1.1.1 (upload)
  = hint: did you mean `remote_host`?
error: t.json:1:36: unknown key `completely` of command `upload`
  |
1 | {"sorce": "a", "remote_hots": "h", "completely": 1}
  |                                    ^^^^^^^^^^^^
  = key: stages[0].tasks[0].completely
  = in: stage "A", task 1.1.1 (upload)
  = hint: known: source, destination, clobber, concurrency, port, action, password, env, words, share, ratio, any
error: t.json:1:1: command `upload` lacks the key `source`
  |
1 | {"sorce": "a", "remote_hots": "h", "completely": 1}
  | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = key: stages[0].tasks[0]
  = in: stage "A", task 1.1.1 (upload)
error: t.json:1:1: command `upload` lacks the key `destination`
  |
1 | {"sorce": "a", "remote_hots": "h", "completely": 1}
  | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = key: stages[0].tasks[0]
  = in: stage "A", task 1.1.1 (upload)
"#);
    assert_snapshot!(check(r#"{"source": {"$secret": {"env": "X"}}, "destination": "",
"clobber": "yes", "concurrency": "many", "port": 70000, "action": "strat",
"password": [], "env": {"A": null}, "words": ["a", 2], "share": [], "ratio": "x"}"#), @r#"
error: t.json:1:12: a secret reference cannot stand here; hand it over in `env`
  |
1 | {"source": {"$secret": {"env": "X"}}, "destination": "",
  |            ^^^^^^^^^^^^^^^^^^^^^^^^^
  = key: stages[0].tasks[0].source
  = in: stage "A", task 1.1.1 (upload)
error: t.json:1:54: `destination` is empty, but a string that is not empty is wanted
  |
1 | {"source": {"$secret": {"env": "X"}}, "destination": "",
  |                                                      ^^
  = key: stages[0].tasks[0].destination
  = in: stage "A", task 1.1.1 (upload)
error: t.json:2:12: `clobber` is a string, but true or false is wanted
  |
2 | "clobber": "yes", "concurrency": "many", "port": 70000, "action": "strat",
  |            ^^^^^
  = key: stages[0].tasks[0].clobber
  = in: stage "A", task 1.1.1 (upload)
error: t.json:2:34: `concurrency` is a string, but a whole number of at least 1 is wanted
  |
2 | "clobber": "yes", "concurrency": "many", "port": 70000, "action": "strat",
  |                                  ^^^^^^
  = key: stages[0].tasks[0].concurrency
  = in: stage "A", task 1.1.1 (upload)
error: t.json:2:50: `port` is 70000, but a whole number from 0 to 65535 is wanted
  |
2 | "clobber": "yes", "concurrency": "many", "port": 70000, "action": "strat",
  |                                                  ^^^^^
  = key: stages[0].tasks[0].port
  = in: stage "A", task 1.1.1 (upload)
error: t.json:2:67: `action` is `strat`, but `start` or `stop` is wanted
  |
2 | "clobber": "yes", "concurrency": "many", "port": 70000, "action": "strat",
  |                                                                   ^^^^^^^
  = key: stages[0].tasks[0].action
  = in: stage "A", task 1.1.1 (upload)
  = hint: did you mean `start`?
error: t.json:3:13: `password` is a list, but a string or a secret reference is wanted
  |
3 | "password": [], "env": {"A": null}, "words": ["a", 2], "share": [], "ratio": "x"}
  |             ^^
  = key: stages[0].tasks[0].password
  = in: stage "A", task 1.1.1 (upload)
error: t.json:3:30: `env.A` is nothing, but a string or a secret reference is wanted
  |
3 | "password": [], "env": {"A": null}, "words": ["a", 2], "share": [], "ratio": "x"}
  |                              ^^^^
  = key: stages[0].tasks[0].env.A
  = in: stage "A", task 1.1.1 (upload)
error: t.json:3:52: `words[1]` is 2, but a string is wanted
  |
3 | "password": [], "env": {"A": null}, "words": ["a", 2], "share": [], "ratio": "x"}
  |                                                    ^
  = key: stages[0].tasks[0].words[1]
  = in: stage "A", task 1.1.1 (upload)
error: t.json:3:65: `share` is a list, but a whole number of at least 0 or a string is wanted
  |
3 | "password": [], "env": {"A": null}, "words": ["a", 2], "share": [], "ratio": "x"}
  |                                                                 ^^
  = key: stages[0].tasks[0].share
  = in: stage "A", task 1.1.1 (upload)
error: t.json:3:78: `ratio` is a string, but a number is wanted
  |
3 | "password": [], "env": {"A": null}, "words": ["a", 2], "share": [], "ratio": "x"}
  |                                                                              ^^^
  = key: stages[0].tasks[0].ratio
  = in: stage "A", task 1.1.1 (upload)
"#);
    assert_snapshot!(check(r#"{"source": "a", "destination": "b", "concurrency": 0, "share": -1, "env": []}"#), @r#"
error: t.json:1:52: `concurrency` is 0, but a whole number of at least 1 is wanted
  |
1 | {"source": "a", "destination": "b", "concurrency": 0, "share": -1, "env": []}
  |                                                    ^
  = key: stages[0].tasks[0].concurrency
  = in: stage "A", task 1.1.1 (upload)
error: t.json:1:64: `share` is -1, but a whole number of at least 0 is wanted
  |
1 | {"source": "a", "destination": "b", "concurrency": 0, "share": -1, "env": []}
  |                                                                ^^
  = key: stages[0].tasks[0].share
  = in: stage "A", task 1.1.1 (upload)
error: t.json:1:75: `env` is a list, but a map is wanted
  |
1 | {"source": "a", "destination": "b", "concurrency": 0, "share": -1, "env": []}
  |                                                                           ^^
  = key: stages[0].tasks[0].env
  = in: stage "A", task 1.1.1 (upload)
"#);
}

fn plain(schema: serde_json::Value, map: serde_json::Value) -> String {
    let node = Node::from(map);
    let place = Where {
        source: None,
        path: &"",
        task: None,
        of: &"command `x`",
        whole: &node,
    };
    Shape::new(&schema)
        .check(node.as_map().unwrap(), &place)
        .to_string()
}

#[test]
fn schemas_that_say_little_are_lenient() {
    use serde_json::json;
    assert_eq!(plain(json!({}), json!({"a": 1})), "");
    assert_eq!(plain(json!(true), json!({"a": 1})), "");
    assert_eq!(plain(json!({"type": "object"}), json!({"a": 1})), "");
    assert_eq!(
        plain(
            json!({"properties": {"b": {}}, "additionalProperties": true}),
            json!({"a": 1})
        ),
        ""
    );
    assert_ne!(plain(json!({"properties": {"b": {}}}), json!({"a": 1})), "");
    assert_eq!(
        plain(
            json!({"properties": {"b": {"$ref": "http://x"}}}),
            json!({"b": 1})
        ),
        ""
    );
}

#[test]
fn schemas_that_refer_to_themselves_end() {
    use serde_json::json;
    let schema = json!({"properties": {"a": {"$ref": "#/$defs/a"}, "r": {"$ref": "#"}},
        "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}, {"type": "string"}]}}});
    assert_eq!(plain(schema.clone(), json!({"a": "x"})), "");
    let _ = plain(schema.clone(), json!({"a": 1}));
    assert_ne!(plain(schema, json!({"r": {"r": {"x": 1}}})), "");
}
