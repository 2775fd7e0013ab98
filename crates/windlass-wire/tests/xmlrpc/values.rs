//! Values by chance, and a form of values that other languages can print too.

use proptest::prelude::*;
use serde_json::json;
use windlass_wire::xmlrpc::{DateTime, Decimal, Struct, Value};

/// Any value, some levels deep.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(5, 60, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
            proptest::collection::vec((text(), inner), 0..8)
                .prop_map(|members| Value::Struct(members.into_iter().collect::<Struct>())),
        ]
    })
}

/// Texts of characters that XML has; often with those that mean something in it.
pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~\t\n]{0,12}",
        "[<>&'\"\\] \r\n\t;#x]{0,12}",
        any_character_of_xml(),
    ]
}

fn any_character_of_xml() -> impl Strategy<Value = String> {
    let fits = |c: &char| (*c >= ' ' || "\t\n\r".contains(*c)) && !"\u{fffe}\u{ffff}".contains(*c);
    let character = proptest::char::any().prop_filter("not in XML", fits);
    proptest::collection::vec(character, 0..12).prop_map(|c| c.into_iter().collect())
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i32>().prop_map(Value::from),
        any::<i64>().prop_map(Value::Int),
        any::<i128>().prop_map(Value::from),
        // no NaN, which is not equal to itself
        any::<f64>()
            .prop_filter("NaN", |n| !n.is_nan())
            .prop_map(Value::Double),
        "-?(0|[1-9][0-9]{0,19})(\\.[0-9]{1,20})?"
            .prop_map(|t| Value::Decimal(Decimal::parse(&t).unwrap())),
        text().prop_map(Value::Text),
        proptest::collection::vec(any::<u8>(), 0..80).prop_map(Value::Bytes),
        "[12][0-9]{3}(0[1-9]|1[0-2])(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3])(:[0-5][0-9]){2}Z?"
            .prop_map(|t| Value::DateTime(DateTime::parse(&t).unwrap())),
    ]
}

/// A value with its types, as JSON; `support.py` prints the same for values of Python.
pub(crate) fn tagged(value: &Value) -> serde_json::Value {
    match value {
        Value::Nil => json!(null),
        Value::Bool(value) => json!(value),
        Value::Int(number) => json!({"int": number.to_string()}),
        Value::BigInteger(number) => json!({"int": number.as_str()}),
        Value::Double(number) if number.is_nan() => json!({"double": "nan"}),
        Value::Double(number) => json!({"double": format!("{:016x}", number.to_bits())}),
        Value::Decimal(number) => json!({"decimal": number.as_str()}),
        Value::Text(text) => json!(text),
        Value::DateTime(date) => json!({"date": date.as_str()}),
        Value::Bytes(bytes) => json!({ "bytes": bytes }),
        Value::Array(values) => json!(values.iter().map(tagged).collect::<Vec<_>>()),
        Value::Struct(members) => {
            let members: Vec<_> = members.iter().map(|(n, v)| json!([n, tagged(v)])).collect();
            json!({ "struct": members })
        }
    }
}
