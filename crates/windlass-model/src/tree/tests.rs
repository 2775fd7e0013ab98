//! Tests of reading, decoding and writing trees.

use insta::assert_snapshot;
use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::diagnostic::Source;
use crate::text::Text;

fn json(text: &str) -> Node {
    parse_json(&Source::new("t.json", text)).unwrap_or_else(|e| panic!("{e}"))
}

fn json_error(text: &str) -> String {
    match parse_json(&Source::new("t.json", text)) {
        Ok(node) => format!("no error: {node:?}"),
        Err(errors) => errors.to_string(),
    }
}

#[test]
fn json_values_are_read_with_their_places() {
    let node = json("{\"a\": [1, -2.5e1, true, null],\n \"b\": \"\\u00e9\\ud83d\\ude00\\n\"}");
    let list = node.get("a").and_then(Node::as_list).unwrap();
    assert_eq!(list[0].value, Value::Int(1));
    assert_eq!(list[1].value, Value::Float(-25.0));
    assert_eq!(list[1].span, Span::new(10, 16));
    assert_eq!(node.get("b").unwrap().as_str(), Some("é😀\n"));
    let entry = node.as_map().unwrap().entry("b").unwrap();
    assert_eq!(entry.key_span, Span::new(32, 35));
}

#[test]
fn numbers_beyond_64_bits_become_floats() {
    assert_eq!(json("9223372036854775807").value, Value::Int(i64::MAX));
    assert_eq!(
        json("9223372036854775808").value,
        Value::Float(9223372036854775808.0)
    );
    assert!(json_error("1e999").contains("too large"));
}

#[test]
fn bad_json_is_refused() {
    for text in [
        "",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "'a'",
        "01",
        "1.",
        "-",
        "1e",
        "+1",
        ".5",
        "nul",
        "truex",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "\"a",
        "\"a\nb\"",
        "1 2",
        "[1 2]",
        "{\"a\" 1}",
        "NaN",
        "[1]]",
        "\u{a0}1",
        "1_000",
        "0x10",
    ] {
        assert!(parse_json(&Source::new("t", text)).is_err(), "{text}");
    }
    let deep = |n: usize| "[".repeat(n) + &"]".repeat(n);
    json(&deep(128));
    assert!(json_error(&deep(129)).contains("nested too deep"));
    assert!(parse_json(&Source::new("t", "[".repeat(1_000_000))).is_err());
}

#[test]
fn json_errors_say_where_and_what_to_do() {
    assert_snapshot!(json_error("{\n  \"a\": 1,\n}"), @r#"
error: t.json:3:1: a key is wanted after the comma
  |
3 | }
  | ^
  = hint: take the comma before it away
"#);
    assert_snapshot!(json_error("{\"a\": \"x\\ud800y\"}"), @r#"
error: t.json:1:9: half of a surrogate pair
  |
1 | {"a": "x\ud800y"}
  |         ^^^^^^
  = hint: characters above U+FFFF are two \uXXXX in a row, or just the character itself
"#);
    assert_snapshot!(json_error("{\"a\": 1, \"b\": 2, \"a\": 3, \"b\": 4}"), @r#"
error: t.json:1:18: the key `a` stands here for the second time
  |
1 | {"a": 1, "b": 2, "a": 3, "b": 4}
  |                  ^^^
  = hint: keep one of them
error: t.json:1:26: the key `b` stands here for the second time
  |
1 | {"a": 1, "b": 2, "a": 3, "b": 4}
  |                          ^^^
  = hint: keep one of them
"#);
    assert_snapshot!(json_error("{\"a\": {\"$secret\": {\"evn\": \"X\"}}, \"b\": {\"$secret\": 1}}"), @r#"
error: t.json:1:20: unknown kind of secret `evn`
  |
1 | {"a": {"$secret": {"evn": "X"}}, "b": {"$secret": 1}}
  |                    ^^^^^
  = hint: a secret reference is {"$secret": {"env": NAME}}, {"$secret": {"file": PATH}} or {"$secret": {"command": [PROGRAM, ...]}}
error: t.json:1:51: `$secret` must be a map with one key
  |
1 | {"a": {"$secret": {"evn": "X"}}, "b": {"$secret": 1}}
  |                                                   ^
  = hint: a secret reference is {"$secret": {"env": NAME}}, {"$secret": {"file": PATH}} or {"$secret": {"command": [PROGRAM, ...]}}
"#);
    assert_snapshot!(json_error("[1] x"), @r#"
error: t.json:1:5: text after the end of the value
  |
1 | [1] x
  |     ^
  = hint: one file holds one JSON value
"#);
    assert_snapshot!(json_error("[1, 2"), @r#"
error: t.json:1:6: the text ends where `,` or `]` is wanted
  |
1 | [1, 2
  |      ^
  = hint: is the file cut off?
"#);
}

#[test]
fn repeated_keys_are_found_in_big_maps() {
    let mut text = String::from("{");
    for n in 0..1000 {
        text.push_str(&format!("\"k{n}\": 0, "));
    }
    assert!(
        json_error(&(text + "\"k7\": 1}")).contains("the key `k7` stands here for the second time")
    );
}

#[test]
fn secrets_are_read_and_written() {
    let text = "{\n  \"p\": {\n    \"$secret\": {\n      \"env\": \"X\"\n    }\n  }\n}";
    let node = json(text);
    assert_eq!(
        node.get("p").unwrap().value,
        Value::Secret(Box::new(SecretRef::Env("X".into())))
    );
    let mut out = Vec::new();
    write_json(&node, &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), text);
    assert_eq!(Node::from(to_json(&node)), node);
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Sample {
    name: String,
    #[serde(default)]
    port: Option<u16>,
    #[serde(default)]
    token: Option<Text>,
    #[serde(default)]
    secret: Option<SecretRef>,
    #[serde(default)]
    action: Option<Action>,
    #[serde(default)]
    list: Vec<Action>,
    #[serde(default)]
    pair: Option<(i32, String)>,
    #[serde(default)]
    free: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Action {
    Start,
    Stop(u8),
    Wait { seconds: f64 },
}

fn decode_error(text: &str) -> String {
    let source = Source::new("t.json", text);
    let node = parse_json(&source).unwrap();
    match decode::<Sample>(&node) {
        Ok(sample) => format!("no error: {sample:?}"),
        Err(error) => error.diagnostic(Some(&source), "").to_string(),
    }
}

#[test]
fn trees_decode_to_types() {
    let text = r#"{"name": "n", "port": 80, "token": {"$secret": {"file": "/x"}}, "secret": {"$secret": {"command": ["a", "b"]}},
        "action": "start", "list": [{"stop": 3}, {"wait": {"seconds": 2}}], "pair": [-1, "x"], "free": {"a": [1]}}"#;
    let sample: Sample = decode(&json(text)).unwrap();
    assert_eq!(
        sample,
        Sample {
            name: "n".into(),
            port: Some(80),
            token: Some(Text::secret(SecretRef::File("/x".into()))),
            secret: Some(SecretRef::Command(vec!["a".into(), "b".into()])),
            action: Some(Action::Start),
            list: vec![Action::Stop(3), Action::Wait { seconds: 2.0 }],
            pair: Some((-1, "x".into())),
            free: Some(serde_json::json!({"a": [1]})),
        }
    );
    let sample: Sample = decode(&json(r#"{"name": "n", "port": null, "token": 5}"#)).unwrap();
    assert_eq!((sample.port, sample.token), (None, Some("5".into())));
}

#[test]
fn decode_errors_name_the_deepest_node() {
    assert_snapshot!(decode_error(r#"{"name": "n", "prot": 1}"#), @r#"
error: t.json:1:15: unknown key `prot`
  |
1 | {"name": "n", "prot": 1}
  |               ^^^^^^
  = key: prot
  = hint: did you mean `port`?
"#);
    assert_snapshot!(decode_error(r#"{"name": "n", "port": 70000}"#), @r#"
error: t.json:1:23: 70000 is not between 0 and 65535
  |
1 | {"name": "n", "port": 70000}
  |                       ^^^^^
  = key: port
"#);
    assert_snapshot!(decode_error(r#"{"name": "n", "port": "80"}"#), @r#"
error: t.json:1:23: here is a string, but a whole number is wanted
  |
1 | {"name": "n", "port": "80"}
  |                       ^^^^
  = key: port
"#);
    assert_snapshot!(decode_error(r#"{"name": {"$secret": {"env": "X"}}}"#), @r#"
error: t.json:1:10: a secret reference cannot stand here; hand it over in `env`
  |
1 | {"name": {"$secret": {"env": "X"}}}
  |          ^^^^^^^^^^^^^^^^^^^^^^^^^
  = key: name
"#);
    assert_snapshot!(decode_error(r#"{"name": "n", "list": ["start", {"wait": {"seconds": "x"}}]}"#), @r#"
error: t.json:1:54: here is a string, but a number is wanted
  |
1 | {"name": "n", "list": ["start", {"wait": {"seconds": "x"}}]}
  |                                                      ^^^
  = key: list[1].wait.seconds
"#);
    assert_snapshot!(decode_error(r#"{"name": "n", "list": ["strat"]}"#), @r#"
error: t.json:1:24: `strat` is not known here
  |
1 | {"name": "n", "list": ["strat"]}
  |                        ^^^^^^^
  = key: list[0]
  = hint: did you mean `start`?
"#);
    assert_snapshot!(decode_error(r#"{"name": "n", "pair": [1, "b", 3]}"#), @r#"
error: t.json:1:32: too many values: 2 are wanted
  |
1 | {"name": "n", "pair": [1, "b", 3]}
  |                                ^
  = key: pair[2]
"#);
    assert_snapshot!(decode_error(r#"{"port": 1}"#), @r#"
error: t.json:1:1: the key `name` is missing
  |
1 | {"port": 1}
  | ^^^^^^^^^^^
"#);
    assert_snapshot!(decode_error(r#"{"name": "n", "secret": "plain"}"#), @r#"
error: t.json:1:25: here is a string, but a secret reference is wanted
  |
1 | {"name": "n", "secret": "plain"}
  |                         ^^^^^^^
  = key: secret
  = hint: a secret reference is {"$secret": {"env": NAME}}, {"$secret": {"file": PATH}} or {"$secret": {"command": [PROGRAM, ...]}}
"#);
}

fn yaml(text: &str) -> Node {
    parse_yaml(&Source::new("t.yaml", text)).unwrap_or_else(|e| panic!("{e}"))
}

fn yaml_error(text: &str) -> String {
    match parse_yaml(&Source::new("t.yaml", text)) {
        Ok(node) => format!("no error: {node:?}"),
        Err(errors) => errors.to_string(),
    }
}

#[test]
fn yaml_scalars_follow_the_core_schema() {
    let node = yaml(
        "[~, null, true, False, 1, -7, 0x1f, 0o17, 1.5, 1e3, .5, '1', \"true\", yes, 1.2.3, 1_4, 10:30, 08, app1]",
    );
    let kinds: Vec<Value> = node
        .as_list()
        .unwrap()
        .iter()
        .map(|n| n.value.clone())
        .collect();
    let text = |t: &str| Value::String(t.into());
    let wanted = vec![
        Value::Null,
        Value::Null,
        Value::Bool(true),
        Value::Bool(false),
        Value::Int(1),
        Value::Int(-7),
        Value::Int(31),
        Value::Int(15),
        Value::Float(1.5),
        Value::Float(1000.0),
        Value::Float(0.5),
        text("1"),
        text("true"),
        text("yes"),
        text("1.2.3"),
        text("1_4"),
        text("10:30"),
        Value::Int(8),
        text("app1"),
    ];
    assert_eq!(kinds.len(), wanted.len());
    for (kind, wanted) in kinds.into_iter().zip(wanted) {
        assert_eq!(kind, wanted);
    }
}

#[test]
fn yaml_nodes_know_their_places_in_bytes() {
    let text = "é: ü\nlist:\n  - a\n  - {b: 2}\nlast: 1\n";
    let node = yaml(text);
    let at = |span: Span| &text[span.start as usize..span.end as usize];
    let entry = node.as_map().unwrap().entry("list").unwrap();
    assert_eq!(at(entry.key_span), "list");
    assert_eq!(at(entry.value.as_list().unwrap()[1].span), "{b: 2}");
    assert_eq!(at(entry.value.span), "- a\n  - {b: 2}");
    assert_eq!(at(node.get("é").unwrap().span), "ü");
    let marked = yaml("\u{feff}a: bc");
    assert_eq!(marked.get("a").unwrap().span, Span::new(6, 8));
}

#[test]
fn yaml_empty_is_a_map() {
    for text in ["", "---", "# nothing\n", "--- ~\n...\n"] {
        assert_eq!(yaml(text).value, Value::Map(Map::default()), "{text}");
    }
}

#[test]
fn yaml_secrets_are_references() {
    let node = yaml(
        "a: !env TOKEN\nb: !file '/run/x'\nc: !command [pass, show, x]\nd: {$secret: {env: X}}\n",
    );
    let kind = |key: &str| node.get(key).unwrap().value.clone();
    assert_eq!(
        kind("a"),
        Value::Secret(Box::new(SecretRef::Env("TOKEN".into())))
    );
    assert_eq!(
        kind("b"),
        Value::Secret(Box::new(SecretRef::File("/run/x".into())))
    );
    let words = ["pass", "show", "x"].map(String::from).to_vec();
    assert_eq!(
        kind("c"),
        Value::Secret(Box::new(SecretRef::Command(words)))
    );
    assert_eq!(
        kind("d"),
        Value::Secret(Box::new(SecretRef::Env("X".into())))
    );
}

#[test]
fn yaml_aliases_and_merges_are_followed() {
    let node = yaml(
        "base: &b {x: 1, y: 2}\nmore: &m {y: 3, z: 4}\none: {<<: *b, x: 9}\ntwo:\n  <<: [*m, *b]\n  w: 0\nthree: *b\n8080: port\ntrue: t\n",
    );
    assert_eq!(*node.get("one").unwrap(), yaml("{x: 9, y: 2}"));
    assert_eq!(*node.get("two").unwrap(), yaml("{w: 0, y: 3, z: 4, x: 1}"));
    assert_eq!(node.get("three"), node.get("base"));
    assert_eq!(node.get("8080").unwrap().as_str(), Some("port"));
    assert_eq!(node.get("true").unwrap().as_str(), Some("t"));
}

#[test]
fn yaml_bombs_are_refused() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for n in 1..12 {
        let aliases = vec![format!("*a{}", n - 1); 9].join(", ");
        text.push_str(&format!("a{n}: &a{n} [{aliases}]\n"));
    }
    assert!(yaml_error(&text).contains("more than 1000000 values"));
    let mut text = String::from("a0: &a0 [x]\n");
    for n in 1..200 {
        text.push_str(&format!("a{n}: &a{n} [*a{}]\n", n - 1));
    }
    assert!(yaml_error(&text).contains("nested too deep"));
    assert!(yaml_error(&("[".repeat(200) + &"]".repeat(200))).contains("nested too deep"));
    assert!(yaml_error("a: &a [*a]").contains("within its own value"));
}

#[test]
fn yaml_errors_say_where_and_what_to_do() {
    assert_snapshot!(yaml_error("a:\n\t- b\n"), @r#"
error: t.yaml:2:1: a tab stands in the indentation
  |
2 |  - b
  | ^
  = hint: YAML is indented with spaces only
"#);
    assert_snapshot!(yaml_error("a: 1\nb: 2\na: 3\n"), @r#"
error: t.yaml:3:1: the key `a` stands here for the second time
  |
3 | a: 3
  | ^
  = hint: keep one of them
"#);
    assert_snapshot!(yaml_error("a: !evn X\nb: !secret {x: 1}\nc: !command pass\nd: !env [x]\n"), @r#"
error: t.yaml:1:4: unknown tag `!evn`
  |
1 | a: !evn X
  |    ^^^^^^
  = hint: did you mean `!env`? known tags are !env NAME, !file PATH and !command [PROGRAM, ...]
error: t.yaml:2:4: unknown tag `!secret`
  |
2 | b: !secret {x: 1}
  |    ^^^^^^^^^^^^^^
  = hint: known tags are !env NAME, !file PATH and !command [PROGRAM, ...]
error: t.yaml:3:4: the tag `!command` does not fit a single value
  |
3 | c: !command pass
  |    ^^^^^^^^^^^^^
  = hint: known tags are !env NAME, !file PATH and !command [PROGRAM, ...]
error: t.yaml:4:4: the tag `!env` does not fit a list
  |
4 | d: !env [x]
  |    ^^^^^^^^
  = hint: known tags are !env NAME, !file PATH and !command [PROGRAM, ...]
"#);
    assert_snapshot!(yaml_error("a: 1\n---\nb: 2\n"), @r#"
error: t.yaml:2:1: a second document begins here
  |
2 | ---
  | ^^^
  = hint: take the `---` away, or make two files of it
"#);
    assert_snapshot!(yaml_error("check: x: y\n"), @r#"
error: t.yaml:1:9: this is not YAML: mapping values are not allowed in this context
  |
1 | check: x: y
  |         ^
  = hint: a value that holds `: ` must be quoted; or is the indentation of this line wrong?
"#);
    assert_snapshot!(yaml_error("a: [1, 2\nb: 3\n"), @r#"
error: t.yaml:2:2: this is not YAML: illegal placement of ':' indicator
  |
2 | b: 3
  |  ^
  = hint: look at the indentation of this line and the one before, and at quotes and brackets
"#);
    assert_snapshot!(yaml_error("a: *b\n"), @r#"
error: t.yaml:1:4: this is not YAML: while parsing node, found unknown anchor
  |
1 | a: *b
  |    ^
  = hint: an alias (`*name`) repeats a value that was marked before with `&name`; quote a text that begins with `*`
"#);
    assert_snapshot!(yaml_error("a: {{name}}\n"), @r#"
error: t.yaml:1:5: here is a map as a key
  |
1 | a: {{name}}
  |     ^
  = hint: a key is a word or a number; a text with `{` or `[` at its start must be quoted
"#);
    assert_snapshot!(yaml_error("a: .inf\n"), @r#"
error: t.yaml:1:4: numbers must be finite
  |
1 | a: .inf
  |    ^^^^
  = hint: if it is no number, quote it
"#);
    assert_snapshot!(yaml_error("a: 'b\n"), @r#"
error: t.yaml:1:4: this is not YAML: while scanning a quoted scalar, found unexpected end of stream
  |
1 | a: 'b
  |    ^
  = hint: a closing quote is missing
"#);
    assert_snapshot!(yaml_error("platform: rolling\n  user: x\n"), @r#"
error: t.yaml:2:7: this is not YAML: mapping values are not allowed in this context
  |
2 |   user: x
  |       ^
  = hint: a value that holds `: ` must be quoted; or is the indentation of this line wrong?
"#);
}

/// Any tree that JSON can hold.
pub(crate) fn any_node() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        proptest::num::f64::NORMAL.prop_map(Value::Float),
        any::<String>().prop_map(|s| Value::String(s.into())),
        ".{1,8}"
            .prop_filter("no NUL", |s: &String| !s.contains('\0'))
            .prop_map(|s| Value::Secret(Box::new(SecretRef::Env(s)))),
    ];
    leaf.prop_map(Node::new).prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6)
                .prop_map(|list| Node::new(Value::List(list))),
            proptest::collection::vec(("[a-z]{1,5}", inner), 0..6)
                .prop_map(|map| Node::from(map.into_iter().collect::<Map>())),
        ]
    })
}

proptest! {
    #[test]
    fn json_reads_what_it_writes(node in any_node()) {
        let mut out = Vec::new();
        write_json(&node, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        prop_assert_eq!(json(&text), node.clone());
        prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
        prop_assert_eq!(Node::from(to_json(&node)), node);
    }

    #[test]
    fn json_agrees_with_another_reader(text in "[\\[\\]{}\",:0-9eE.+\\-a-c tnul\\\\]{0,24}") {
        let ours = parse_json(&Source::new("t", text.clone())).is_ok();
        let theirs = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        // Ours is stricter about repeated keys only.
        prop_assert!(ours == theirs || json_error(&text).contains("second time"), "{}", text);
    }

    #[test]
    fn no_text_makes_the_readers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let source = Source::new("t", text);
        for result in [parse_json(&source), parse_yaml(&source)] {
            if let Err(errors) = result {
                prop_assert!(!errors.to_string().is_empty());
            }
        }
    }

    #[test]
    fn no_near_yaml_makes_the_reader_panic(text in "[a-c:\\-\\[\\]{},&*!|>'\"#%@? \t\n0-9<]{0,60}") {
        let source = Source::new("t", text);
        if let Err(errors) = parse_yaml(&source) {
            prop_assert!(!errors.to_string().is_empty());
        }
    }
}
