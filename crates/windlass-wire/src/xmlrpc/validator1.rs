//! The eight methods of UserLand's validator, to be mounted by a server in a test build.

use super::fault::{Fault, code};
use super::methods::MethodTable;
use super::value::Value;
use super::{Call, Response};

/// With the rows of the eight methods.
pub fn table(table: MethodTable) -> MethodTable {
    table
        .with(
            "validator1.arrayOfStructsTest",
            &[&["int", "array"]],
            "The sum of the curlys of an array of structs.",
        )
        .with(
            "validator1.countTheEntities",
            &[&["struct", "string"]],
            "How often each of < > & ' \" stands in a text.",
        )
        .with(
            "validator1.easyStructTest",
            &[&["int", "struct"]],
            "The sum of moe, larry and curly.",
        )
        .with(
            "validator1.echoStructTest",
            &[&["struct", "struct"]],
            "The struct that was given.",
        )
        .with(
            "validator1.manyTypesTest",
            &[&[
                "array",
                "int",
                "boolean",
                "string",
                "double",
                "dateTime.iso8601",
                "base64",
            ]],
            "The six arguments as an array.",
        )
        .with(
            "validator1.moderateSizeArrayCheck",
            &[&["string", "array"]],
            "The first and the last string of an array, joined.",
        )
        .with(
            "validator1.nestedStructTest",
            &[&["int", "struct"]],
            "The sum of moe, larry and curly on 1 April 2000 in a calendar of structs.",
        )
        .with(
            "validator1.simpleStructReturnTest",
            &[&["struct", "int"]],
            "The number times 10, 100 and 1000.",
        )
}

/// The answer, if it is one of the eight.
pub fn answer(call: &Call) -> Option<Response> {
    let name = call.method.strip_prefix("validator1.")?;
    let answer = match (name, call.params.as_slice()) {
        ("arrayOfStructsTest", [Value::Array(structs)]) => {
            sum(structs.iter().map(|s| s.get("curly")))
        }
        ("countTheEntities", [Value::Text(text)]) => Some(entities(text)),
        ("easyStructTest", [stooges]) => three(stooges),
        ("echoStructTest", [Value::Struct(members)]) => Some(members.clone().into()),
        ("manyTypesTest", six) if six.len() == 6 => Some(Value::Array(six.to_vec())),
        ("moderateSizeArrayCheck", [Value::Array(texts)]) => ends(texts),
        ("nestedStructTest", [calendar]) => day(calendar).and_then(three),
        ("simpleStructReturnTest", [Value::Int(number)]) => multiples(*number),
        (
            "arrayOfStructsTest"
            | "countTheEntities"
            | "easyStructTest"
            | "echoStructTest"
            | "manyTypesTest"
            | "moderateSizeArrayCheck"
            | "nestedStructTest"
            | "simpleStructReturnTest",
            _,
        ) => None,
        _ => return None,
    };
    let wrong = || {
        Fault::new(
            code::INVALID_PARAMS,
            format!("{}: wrong arguments", call.method),
        )
    };
    Some(answer.ok_or_else(wrong))
}

fn sum<'a>(numbers: impl Iterator<Item = Option<&'a Value>>) -> Option<Value> {
    let mut sum = 0_i64;
    for number in numbers {
        sum = sum.checked_add(number?.as_int()?)?;
    }
    Some(sum.into())
}

fn three(stooges: &Value) -> Option<Value> {
    sum(["moe", "larry", "curly"]
        .iter()
        .map(|name| stooges.get(name)))
}

fn day(calendar: &Value) -> Option<&Value> {
    calendar.get("2000")?.get("04")?.get("01")
}

fn ends(texts: &[Value]) -> Option<Value> {
    let (first, last) = (texts.first()?.as_str()?, texts.last()?.as_str()?);
    Some(format!("{first}{last}").into())
}

fn entities(text: &str) -> Value {
    let count = |c: char| Value::from(text.matches(c).count() as u64);
    [
        ("ctLeftAngleBrackets", count('<')),
        ("ctRightAngleBrackets", count('>')),
        ("ctAmpersands", count('&')),
        ("ctApostrophes", count('\'')),
        ("ctQuotes", count('"')),
    ]
    .into()
}

fn multiples(number: i64) -> Option<Value> {
    let times = |n| number.checked_mul(n).map(Value::Int);
    Some(
        [
            ("times10", times(10)?),
            ("times100", times(100)?),
            ("times1000", times(1000)?),
        ]
        .into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(name: &str, params: Vec<Value>) -> Response {
        let call = Call {
            method: format!("validator1.{name}"),
            params,
        };
        answer(&call).unwrap()
    }

    fn stooges(curly: i32) -> Value {
        [
            ("moe", 1.into()),
            ("larry", 2.into()),
            ("curly", curly.into()),
        ]
        .into()
    }

    #[test]
    fn the_eight_answer() {
        let structs = Value::Array(vec![stooges(5), stooges(-7)]);
        assert_eq!(ask("arrayOfStructsTest", vec![structs]), Ok((-2).into()));
        let counts: Vec<i64> = ask("countTheEntities", vec!["<<>&&&'\"\"x".into()])
            .unwrap()
            .as_struct()
            .unwrap()
            .iter()
            .map(|(_, v)| v.as_int().unwrap())
            .collect();
        assert_eq!(counts, [2, 1, 3, 1, 2]);
        assert_eq!(ask("easyStructTest", vec![stooges(3)]), Ok(6.into()));
        assert_eq!(ask("echoStructTest", vec![stooges(3)]), Ok(stooges(3)));
        let six: Vec<Value> = vec![1, 2, 3, 4, 5, 6].into_iter().map(Value::Int).collect();
        assert_eq!(ask("manyTypesTest", six.clone()), Ok(Value::Array(six)));
        let texts = vec!["a", "b", "c"].into();
        assert_eq!(ask("moderateSizeArrayCheck", vec![texts]), Ok("ac".into()));
        let calendar = [("2000", [("04", [("01", stooges(4))].into())].into())].into();
        assert_eq!(ask("nestedStructTest", vec![calendar]), Ok(7.into()));
        assert_eq!(
            ask("simpleStructReturnTest", vec![7.into()]),
            Ok([
                ("times10", 70.into()),
                ("times100", 700.into()),
                ("times1000", 7000.into())
            ]
            .into())
        );
    }

    #[test]
    fn each_stands_in_the_table_and_refuses_what_it_cannot_take() {
        let all = table(MethodTable::new());
        let names: Vec<_> = all
            .names()
            .filter(|n| n.starts_with("validator1."))
            .collect();
        assert_eq!(names.len(), 8);
        for name in names {
            let fault = ask(name.trim_start_matches("validator1."), vec![]).unwrap_err();
            assert_eq!(fault.code, -32602);
        }
        let other = Call {
            method: "validator1.other".into(),
            params: vec![],
        };
        assert_eq!(answer(&other), None);
    }
}
