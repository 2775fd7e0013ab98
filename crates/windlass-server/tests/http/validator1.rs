//! The eight methods of UserLand's validator, introspection, and many calls in one.

use serde_json::{Value as Json, json};
use windlass_server::http::Method;
use windlass_wire::xmlrpc::{Call, Value, multicall};

use crate::support::call::{asked, code, credentials, xml};
use crate::support::{Manager, Setup, users};

async fn answered(url: &str, method: &str, params: Vec<Value>) -> Json {
    let answer = xml(url, &format!("validator1.{method}"), params).await;
    serde_json::to_value(Plain(&answer.unwrap())).unwrap()
}

/// A value as JSON, for comparing.
struct Plain<'a>(&'a Value);

impl serde::Serialize for Plain<'_> {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Bool(v) => to.serialize_bool(*v),
            Value::Int(v) => to.serialize_i64(*v),
            Value::Double(v) => to.serialize_f64(*v),
            Value::Text(v) => to.serialize_str(v),
            Value::Array(v) => to.collect_seq(v.iter().map(Plain)),
            Value::Struct(v) => to.collect_map(v.iter().map(|(n, v)| (n, Plain(v)))),
            other => to.collect_str(&format!("{other:?}")),
        }
    }
}

#[tokio::test]
async fn the_eight_methods_answer_over_http() {
    let manager = Manager::start(Setup::default()).await;
    let url = &manager.url;
    let stooges = |curly: i32| json!({"moe": 1, "larry": 2, "curly": curly});
    let one = |value: Json| vec![Value::from(value)];

    let structs = one(json!([stooges(5), stooges(-7)]));
    assert_eq!(answered(url, "arrayOfStructsTest", structs).await, -2);
    let text = one(json!("<<>&&&''''\"x"));
    assert_eq!(
        answered(url, "countTheEntities", text).await,
        json!({"ctLeftAngleBrackets": 2, "ctRightAngleBrackets": 1, "ctAmpersands": 3, "ctApostrophes": 4, "ctQuotes": 1})
    );
    let easy = one(stooges(3));
    assert_eq!(answered(url, "easyStructTest", easy.clone()).await, 6);
    assert_eq!(answered(url, "echoStructTest", easy).await, stooges(3));
    let six: Vec<Value> = [
        json!(1),
        json!(true),
        json!("x"),
        json!(2.5),
        json!("d"),
        json!("b"),
    ]
    .into_iter()
    .map(Value::from)
    .collect();
    assert_eq!(
        answered(url, "manyTypesTest", six).await,
        json!([1, true, "x", 2.5, "d", "b"])
    );
    let texts: Vec<String> = (0..150).map(|n| format!("t{n}")).collect();
    let texts = one(json!(texts));
    assert_eq!(
        answered(url, "moderateSizeArrayCheck", texts).await,
        "t0t149"
    );
    let calendar = one(json!({"2000": {"04": {"01": stooges(4)}}}));
    assert_eq!(answered(url, "nestedStructTest", calendar).await, 7);
    assert_eq!(
        answered(url, "simpleStructReturnTest", one(json!(7))).await,
        json!({"times10": 70, "times100": 700, "times1000": 7000})
    );
}

#[tokio::test]
async fn introspection_knows_every_method() {
    let manager = Manager::start(Setup::default()).await;
    let names = xml(&manager.url, "system.listMethods", vec![])
        .await
        .unwrap();
    let names: Vec<String> = names
        .as_array()
        .unwrap()
        .iter()
        .map(|n| n.as_str().unwrap().to_owned())
        .collect();
    let count = |of: &str| names.iter().filter(|n| n.starts_with(of)).count();
    assert_eq!((count("validator1."), count("system.")), (8, 4));
    assert_eq!(names.len(), Method::ALL.len() + 12);
    for name in &names {
        let named = || vec![Value::from(name.as_str())];
        let help = xml(&manager.url, "system.methodHelp", named()).await;
        assert!(!help.unwrap().as_str().unwrap().is_empty(), "{name}");
        let types = xml(&manager.url, "system.methodSignature", named()).await;
        assert!(!types.unwrap().as_array().unwrap().is_empty(), "{name}");
    }
    let unknown = xml(&manager.url, "request_acton", vec![])
        .await
        .unwrap_err();
    assert_eq!(unknown.code, -32601);
    assert!(unknown.text.contains("request_action"), "{unknown}");
}

fn call(method: &str, params: Vec<Value>) -> Call {
    Call {
        method: method.into(),
        params,
    }
}

#[tokio::test]
async fn a_multicall_has_faults_among_its_answers() {
    let manager = Manager::start(Setup {
        auth: users(),
        ..Setup::default()
    })
    .await;
    let none = || Value::from(json!({}));
    let calls = vec![
        call("list_projects", vec![credentials("reader"), none()]),
        call("no_such_method", vec![]),
        call("reload", vec![credentials("reader"), none()]),
        call("transaction_history", vec![credentials("reader"), none()]),
        call(
            "query_transaction",
            vec![
                credentials("reader"),
                Value::from(json!({"transaction": "nothing"})),
            ],
        ),
        call("list_projects", vec![1.into()]),
        call("list_releases", vec![credentials("reader"), none()]),
    ];
    let many = multicall::request(calls);
    let answer = xml(&manager.url, &many.method, many.params).await.unwrap();
    let answers = multicall::responses(answer).unwrap();
    let codes: Vec<i64> = answers.iter().map(code).collect();
    assert_eq!(codes, [200, -32601, 403, -32602, 404, -32602, 200]);
}

#[tokio::test]
async fn one_multicall_tries_one_password() {
    let manager = Manager::start(Setup {
        auth: users(),
        ..Setup::default()
    })
    .await;
    let guess = |n: i32| {
        let guess = json!({"username": "admin", "password": format!("guess {n}")});
        call(
            "list_projects",
            vec![Value::from(guess), Value::from(json!({}))],
        )
    };
    let mut calls: Vec<Call> = (0..500).map(guess).collect();
    calls.push(call(
        "list_projects",
        vec![credentials("admin"), Value::from(json!({}))],
    ));
    let many = multicall::request(calls);
    let answer = xml(&manager.url, &many.method, many.params).await.unwrap();
    let answers = multicall::responses(answer).unwrap();
    assert!(answers.iter().all(|a| code(a) == 401));
    assert_eq!(manager.log().matches("wrong credentials").count(), 1);
    assert_eq!(
        code(&asked(&manager.url, "list_projects", "admin", json!({})).await),
        200
    );
}
