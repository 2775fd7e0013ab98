//! Ours against Python's `xmlrpc.client`, both ways.

use std::io::Write;
use std::process::{Command, Stdio};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde::Deserialize;
use serde_json::json;
use windlass_wire::xmlrpc::{
    Call, EncodeOptions, Fault, Limits, Response, decode_call, decode_response, encode_call,
    encode_response,
};

use crate::cases::{As, CASES};
use crate::values::{tagged, value};

/// What `support.py` answers to the job.
fn ask<T: serde::de::DeserializeOwned>(job: &serde_json::Value) -> T {
    let mut python = Command::new("python3")
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/xmlrpc/support.py"
        ))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = python.stdin.take().unwrap();
    let text = job.to_string();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()).unwrap());
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn read(documents: &[impl AsRef<[u8]>]) -> Vec<Read> {
    let documents: Vec<_> = documents
        .iter()
        .map(|d| data_encoding::BASE64.encode(d.as_ref()))
        .collect();
    ask(&json!(documents))
}

fn bytes(text: &str) -> Vec<u8> {
    data_encoding::BASE64.decode(text.as_bytes()).unwrap()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Read {
    method: Option<String>,
    values: Option<Vec<serde_json::Value>>,
    again: Option<String>,
    fault: Option<(i64, String)>,
    error: Option<String>,
}

#[test]
fn what_we_write_python_reads_and_what_it_writes_then_we_read() {
    let mut runner = TestRunner::default();
    let strategy = proptest::collection::vec(value(), 0..4);
    let calls: Vec<Call> = (0..400)
        .map(|n| Call {
            method: format!("méthod<{n}>"),
            params: strategy.new_tree(&mut runner).unwrap().current(),
        })
        .collect();
    let documents: Vec<Vec<u8>> = calls
        .iter()
        .map(|call| encode_call(call, &EncodeOptions::default()).unwrap())
        .collect();
    let mut again = 0;
    for (n, found) in read(&documents).into_iter().enumerate() {
        let wanted: Vec<_> = calls[n].params.iter().map(tagged).collect();
        assert_eq!(found.error, None, "{:?}", calls[n]);
        assert_eq!(found.method.as_deref(), Some(calls[n].method.as_str()));
        assert_eq!(found.values, Some(wanted), "{:?}", calls[n]);
        // Python writes a carriage return so that it is lost
        let keeps = !String::from_utf8_lossy(&documents[n]).contains("&#13;");
        if let Some(document) = found.again.filter(|_| keeps) {
            let call = decode_call(&bytes(&document), &Limits::default()).unwrap();
            assert_eq!(call.params, calls[n].params);
            again += 1;
        }
    }
    assert!(again > 50, "only {again} came back");
}

#[test]
fn faults_and_responses_of_ours_are_read_by_python() {
    let responses: [Response; 3] = [
        Err(Fault::new(-32601, "there is no method \"<x>\" & so on")),
        Err(Fault::new(i64::MAX, "")),
        Ok(vec!["STARTED"].into()),
    ];
    let documents = responses
        .clone()
        .map(|response| encode_response(&response, &EncodeOptions::default()).unwrap());
    for (response, found) in responses.into_iter().zip(read(&documents)) {
        match response {
            Err(fault) => assert_eq!(found.fault, Some((fault.code, fault.text))),
            Ok(value) => assert_eq!(found.values, Some(vec![tagged(&value)])),
        }
    }
}

#[derive(Deserialize)]
struct Written {
    kind: String,
    document: String,
    said: Read,
}

#[test]
fn what_python_writes_we_read() {
    let written: Vec<Written> = ask(&json!(null));
    assert!(written.len() > 90, "{}", written.len());
    for case in written {
        let document = bytes(&case.document);
        let shown = String::from_utf8_lossy(&document).into_owned();
        let (method, values) = match case.kind.as_str() {
            "call" => {
                let call = decode_call(&document, &Limits::default());
                let call = call.unwrap_or_else(|e| panic!("{e}\n{shown}"));
                (Some(call.method), call.params)
            }
            _ => {
                let response = decode_response(&document, &Limits::default());
                match response.unwrap_or_else(|e| panic!("{e}\n{shown}")) {
                    Ok(value) => (None, vec![value]),
                    Err(fault) => {
                        assert_eq!(case.said.fault, Some((fault.code, fault.text)));
                        continue;
                    }
                }
            }
        };
        assert_eq!(method, case.said.method, "{shown}");
        let values: Vec<_> = values.iter().map(tagged).collect();
        assert_eq!(Some(values), case.said.values, "{shown}");
    }
}

#[test]
fn each_case_is_read_as_python_does_or_as_it_says() {
    let documents: Vec<String> = CASES
        .iter()
        .map(|(_, value)| {
            format!("<?xml version='1.0'?><methodResponse><params><param>{value}</param></params></methodResponse>")
        })
        .collect();
    for ((how, value), (document, theirs)) in
        CASES.iter().zip(documents.iter().zip(read(&documents)))
    {
        let ours = decode_response(document.as_bytes(), &Limits::default());
        let same = match (&ours, &theirs.values) {
            (Ok(Ok(ours)), Some(theirs)) => *theirs == [tagged(ours)],
            _ => false,
        };
        let found = match (ours.is_ok(), theirs.values.is_some()) {
            (true, true) if same => As::Python,
            (true, _) => As::Looser,
            (false, true) => As::Stricter,
            (false, false) => As::No,
        };
        let stricter = *how == As::Stricter && ours.is_err();
        assert!(
            found == *how || stricter,
            "{how:?} but {found:?}: {value}\nours {ours:?}\ntheirs {theirs:?}"
        );
    }
}
