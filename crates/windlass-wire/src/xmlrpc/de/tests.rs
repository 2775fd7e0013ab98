use serde::Deserialize;
use std::collections::BTreeMap;

use super::*;
use crate::xmlrpc::DateTime;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    project: String,
    #[serde(default)]
    trunk: bool,
    env: Option<String>,
    #[serde(default)]
    hosts: Vec<u16>,
    #[serde(default)]
    action: Action,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    #[default]
    Build,
    Install,
    Own(String),
    Both {
        a: i64,
    },
}

fn why(value: Value) -> String {
    from_value_at::<Request>("request_data", &value)
        .unwrap_err()
        .to_string()
}

#[test]
fn a_request_is_decoded() {
    let request: Value = [
        ("project", "template".into()),
        ("trunk", true.into()),
        ("env", "test".into()),
        ("hosts", vec![1, 2].into()),
        ("action", "install".into()),
    ]
    .into();
    assert_eq!(
        from_value::<Request>(&request).unwrap(),
        Request {
            project: "template".into(),
            trunk: true,
            env: Some("test".into()),
            hosts: vec![1, 2],
            action: Action::Install,
        }
    );
    let short: Value = [
        ("project", "x".into()),
        ("env", Value::Nil),
        ("trunk", 1.into()),
        ("action", [("own", "deploy".into())].into()),
    ]
    .into();
    let short: Request = from_value(&short).unwrap();
    assert_eq!((short.env, short.trunk), (None, true));
    assert_eq!(short.action, Action::Own("deploy".into()));
    let both: Value = [("both", [("a", 3.into())].into())].into();
    assert_eq!(from_value::<Action>(&both).unwrap(), Action::Both { a: 3 });
}

#[test]
fn errors_say_where_what_is_wanted_and_what_is_there() {
    let with = |name: &'static str, value: Value| -> Value {
        [("project", "x".into()), (name, value)].into()
    };
    for (value, message) in [
        (
            with("env", 3.into()),
            "request_data.env: a string is wanted, got int",
        ),
        (
            with("hosts", "a".into()),
            "request_data.hosts: an array is wanted, got string",
        ),
        (
            with("hosts", Value::Array(vec![1.into(), (-1).into()])),
            "request_data.hosts[1]: an int that is not negative is wanted, got -1",
        ),
        (
            with("trunk", 2.into()),
            "request_data.trunk: a boolean is wanted, got int",
        ),
        (
            with("trunk", "yes".into()),
            "request_data.trunk: a boolean is wanted, got string",
        ),
        (
            with("envv", "a".into()),
            "request_data: unknown member \"envv\"; did you mean `env`?",
        ),
        (
            with("action", "instal".into()),
            "request_data.action: unknown word \"instal\"; did you mean `install`?",
        ),
        (
            with("action", [("both", [("a", Value::Nil)].into())].into()),
            "request_data.action.both.a: an int is wanted, got nil",
        ),
        (
            Value::Struct(Struct::default()),
            "request_data: member `project` is missing",
        ),
        (1.into(), "request_data: a struct is wanted, got int"),
    ] {
        assert_eq!(why(value), message);
    }
    let error = from_value::<Vec<String>>(&vec![1].into()).unwrap_err();
    assert_eq!(error.to_string(), "[0]: a string is wanted, got int");
    assert_eq!(Fault::from(error).code, -32602);
}

#[test]
fn other_types_come_through() {
    let date = DateTime::parse("19980717T14:08:55").unwrap();
    assert_eq!(
        from_value::<String>(&date.into()).unwrap(),
        "19980717T14:08:55"
    );
    assert_eq!(
        from_value::<Vec<u8>>(&Value::Bytes(vec![7, 8])).unwrap(),
        [7, 8]
    );
    assert_eq!(from_value::<u64>(&u64::MAX.into()).unwrap(), u64::MAX);
    assert_eq!(from_value::<f64>(&2.into()).unwrap(), 2.0);
    let pair: (String, bool) = from_value(&Value::Array(vec!["a".into(), true.into()])).unwrap();
    assert_eq!(pair, ("a".into(), true));
    assert!(from_value::<(i64,)>(&vec![1, 2].into()).is_err());
    let members: Value = [("a", 1.into())].into();
    let map: BTreeMap<&str, i64> = from_value(&members).unwrap();
    assert_eq!(map["a"], 1);
}

#[test]
fn depth_is_an_error_or_not_looked_at() {
    let mut deep = Value::Nil;
    for _ in 0..200 {
        deep = Value::Array(vec![deep]);
    }
    assert!(from_value::<serde_json::Value>(&deep).is_err());
    #[derive(Deserialize)]
    struct Some {
        a: i64,
    }
    let ignored: Value = [("b", deep), ("a", 1.into())].into();
    assert_eq!(from_value::<Some>(&ignored).unwrap().a, 1);
}
