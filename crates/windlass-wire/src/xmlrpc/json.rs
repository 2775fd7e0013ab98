//! Values to JSON and back.

use serde::Serialize;
use serde_json::Number;

use super::number::Decimal;
use super::value::{Struct, Value};

/// To JSON. Lost: dates become texts, bytes become texts of base64, decimals and integers beyond 64 bits become texts,
/// and `nan` and infinities become null. Recurses as deep as the value.
impl From<&Value> for serde_json::Value {
    fn from(value: &Value) -> Self {
        match value {
            Value::Nil => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(number) => Self::Number((*number).into()),
            Value::BigInteger(number) => match number.as_str().parse::<u64>() {
                Ok(number) => Self::Number(number.into()),
                Err(_) => Self::String(number.as_str().into()),
            },
            Value::Double(number) => Number::from_f64(*number).map_or(Self::Null, Self::Number),
            Value::Decimal(number) => Self::String(Decimal::as_str(number).into()),
            Value::Text(text) => Self::String(text.clone()),
            Value::DateTime(date) => Self::String(date.as_str().into()),
            Value::Bytes(bytes) => Self::String(data_encoding::BASE64.encode(bytes)),
            Value::Array(values) => Self::Array(values.iter().map(Self::from).collect()),
            Value::Struct(members) => Self::Object(
                members
                    .iter()
                    .map(|(name, value)| (name.clone(), value.into()))
                    .collect(),
            ),
        }
    }
}

/// From JSON. Nothing is lost; a whole number beyond 64 bits is a [`Value::BigInteger`] or, as JSON reads it, a double.
impl From<serde_json::Value> for Value {
    fn from(value: serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match value {
            Json::Null => Self::Nil,
            Json::Bool(value) => Self::Bool(value),
            Json::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(number), _) => Self::Int(number),
                (None, Some(number)) => number.into(),
                (None, None) => number.as_f64().map_or(Self::Nil, Self::Double),
            },
            Json::String(text) => Self::Text(text),
            Json::Array(values) => Self::Array(values.into_iter().map(Self::from).collect()),
            Json::Object(members) => {
                let members = members.into_iter().map(|(n, v)| (n, v.into()));
                Self::Struct(members.collect::<Struct>())
            }
        }
    }
}

/// Anything that can be JSON, as a value: bytes become arrays of ints, `nan` and infinities nil. An error is that of a
/// map whose keys are no texts, or of the type itself.
pub fn to_value<T: Serialize>(typed: &T) -> Result<Value, serde_json::Error> {
    serde_json::to_value(typed).map(Value::from)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::xmlrpc::DateTime;

    #[test]
    fn json_comes_back_as_it_was() {
        let json = json!({"z": [1, -2.5, null, true, "x"], "a": {"": u64::MAX}, "e": []});
        let value = Value::from(json.clone());
        assert_eq!(serde_json::Value::from(&value), json);
        assert_eq!(
            serde_json::to_string(&serde_json::Value::from(&value)).unwrap(),
            serde_json::to_string(&json).unwrap(),
            "order is kept"
        );
    }

    #[test]
    fn what_json_lacks_is_text_or_null() {
        let value: Value = [
            ("date", DateTime::parse("19980717T14:08:55").unwrap().into()),
            ("bytes", Value::Bytes(vec![1, 2])),
            ("nan", f64::NAN.into()),
            ("big", Value::integer("-18446744073709551616").unwrap()),
            ("decimal", Value::Decimal(Decimal::parse("1.50").unwrap())),
        ]
        .into();
        assert_eq!(
            serde_json::Value::from(&value),
            json!({
                "date": "19980717T14:08:55", "bytes": "AQI=", "nan": null,
                "big": "-18446744073709551616", "decimal": "1.50",
            })
        );
    }

    #[test]
    fn typed_data_becomes_a_value() {
        #[derive(Serialize)]
        struct Row {
            what: &'static str,
            n: u64,
            detail: Option<String>,
        }
        let row = Row {
            what: "built",
            n: 3,
            detail: None,
        };
        assert_eq!(
            to_value(&row).unwrap(),
            [
                ("what", "built".into()),
                ("n", 3.into()),
                ("detail", Value::Nil)
            ]
            .into()
        );
    }
}
