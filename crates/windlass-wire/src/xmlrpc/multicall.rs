//! `system.multicall`: several calls in one.

use super::fault::{Fault, code};
use super::value::Value;
use super::{Call, Response};

/// The method's name.
pub const METHOD: &str = "system.multicall";

/// The most calls in one: each small call may have a large answer.
pub const MOST_CALLS: usize = 1_000;

/// The calls in the arguments of `system.multicall`, in order; a fault in place of one that is none, or that is a
/// multicall itself. A fault of the whole when the arguments are no array, or hold more than [`MOST_CALLS`].
pub fn unpack(params: Vec<Value>) -> Result<Vec<Result<Call, Fault>>, Fault> {
    let [Value::Array(calls)] = <[Value; 1]>::try_from(params).map_err(|_| shape())? else {
        return Err(shape());
    };
    if calls.len() > MOST_CALLS {
        let text = format!("{METHOD}: more than {MOST_CALLS} calls, the limit here");
        return Err(Fault::new(code::SYSTEM, text));
    }
    Ok(calls.into_iter().map(call).collect())
}

fn shape() -> Fault {
    let text = format!("{METHOD}: one array of structs with methodName and params is wanted");
    Fault::new(code::INVALID_PARAMS, text)
}

fn call(value: Value) -> Result<Call, Fault> {
    let Value::Struct(members) = value else {
        return Err(shape());
    };
    let (mut method, mut params) = (None, None);
    for member in members {
        match member {
            (name, Value::Text(text)) if name == "methodName" => method = Some(text),
            (name, Value::Array(values)) if name == "params" => params = Some(values),
            _ => {}
        }
    }
    match (method, params) {
        (Some(method), _) if method == METHOD => Err(Fault::new(
            code::INVALID_PARAMS,
            format!("{METHOD} within {METHOD} is refused"),
        )),
        (Some(method), Some(params)) => Ok(Call { method, params }),
        _ => Err(shape()),
    }
}

/// The answer of `system.multicall`: for each call an array of its result, or its fault as a struct.
pub fn pack(responses: Vec<Response>) -> Value {
    let answer = |response: Response| match response {
        Ok(value) => Value::Array(vec![value]),
        Err(fault) => [
            ("faultCode", fault.code.into()),
            ("faultString", fault.text.into()),
        ]
        .into(),
    };
    Value::Array(responses.into_iter().map(answer).collect())
}

/// One call that makes all these.
pub fn request(calls: Vec<Call>) -> Call {
    let call = |call: Call| -> Value {
        [
            ("methodName", call.method.into()),
            ("params", Value::Array(call.params)),
        ]
        .into()
    };
    Call {
        method: METHOD.into(),
        params: vec![Value::Array(calls.into_iter().map(call).collect())],
    }
}

/// The responses in the answer to [`request`], in order. A fault when it is no such answer.
pub fn responses(answer: Value) -> Result<Vec<Response>, Fault> {
    let wrong = || Fault::new(code::INVALID_XML_RPC, format!("no answer to {METHOD}"));
    let Value::Array(answers) = answer else {
        return Err(wrong());
    };
    let response = |answer: Value| match answer {
        Value::Array(values) => match <[Value; 1]>::try_from(values) {
            Ok([value]) => Ok(Ok(value)),
            Err(_) => Err(wrong()),
        },
        Value::Struct(members) => match (members.get("faultCode"), members.get("faultString")) {
            (Some(Value::Int(code)), Some(Value::Text(text))) => Ok(Err(Fault::new(*code, text))),
            _ => Err(wrong()),
        },
        _ => Err(wrong()),
    };
    answers.into_iter().map(response).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(method: &str) -> Call {
        Call {
            method: method.into(),
            params: vec![1.into()],
        }
    }

    #[test]
    fn calls_and_answers_go_there_and_back() {
        let calls = vec![named("a"), named("b")];
        let unpacked = unpack(request(calls.clone()).params).unwrap();
        assert_eq!(unpacked, calls.into_iter().map(Ok).collect::<Vec<_>>());
        let answers = vec![
            Ok(1.into()),
            Err(Fault::new(4, "no")),
            Ok(Value::Array(vec![])),
        ];
        assert_eq!(responses(pack(answers.clone())), Ok(answers));
    }

    #[test]
    fn a_bad_call_is_a_fault_among_the_others() {
        let calls = Value::Array(vec![
            1.into(),
            [("methodName", "a".into())].into(),
            [
                ("methodName", METHOD.into()),
                ("params", Value::Array(vec![])),
            ]
            .into(),
            [
                ("params", Value::Array(vec![])),
                ("methodName", "a".into()),
                ("x", 1.into()),
            ]
            .into(),
        ]);
        let unpacked = unpack(vec![calls]).unwrap();
        let fine: Vec<bool> = unpacked.iter().map(Result::is_ok).collect();
        assert_eq!(fine, [false, false, false, true]);
        let recursive = unpacked[2].as_ref().unwrap_err();
        assert_eq!(
            recursive.text,
            "system.multicall within system.multicall is refused"
        );
    }

    #[test]
    fn a_bad_list_is_a_fault_of_the_whole() {
        for params in [
            vec![],
            vec![1.into()],
            vec![Value::Array(vec![]), Value::Nil],
        ] {
            assert_eq!(unpack(params).unwrap_err().code, -32602);
        }
        let many = vec![Value::Array(vec![Value::Nil; MOST_CALLS + 1])];
        assert_eq!(unpack(many).unwrap_err().code, -32400);
        assert!(responses(Value::Array(vec![Value::Array(vec![])])).is_err());
    }
}
