use super::*;
use crate::xmlrpc::{DateTime, Struct, Value};

fn text_of(value: Value) -> String {
    let bytes = encode_response(&Ok(value), &EncodeOptions::default()).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (_, rest) = text.split_once("<param>").unwrap();
    rest.split_once("</param>").unwrap().0.to_owned()
}

#[test]
fn every_type_is_written() {
    let date = DateTime::parse("19980717T14:08:55").unwrap();
    for (value, inner) in [
        (Value::Nil, "<nil/>"),
        (true.into(), "<boolean>1</boolean>"),
        (i32::MIN.into(), "<int>-2147483648</int>"),
        (2_147_483_648_i64.into(), "<i8>2147483648</i8>"),
        (
            u64::MAX.into(),
            "<biginteger>18446744073709551615</biginteger>",
        ),
        (0.5.into(), "<double>0.5</double>"),
        (
            "a<b>&\r\n\"".into(),
            "<string>a&lt;b&gt;&amp;&#13;\n\"</string>",
        ),
        (
            date.into(),
            "<dateTime.iso8601>19980717T14:08:55</dateTime.iso8601>",
        ),
        (Value::Bytes(vec![0, 255]), "<base64>AP8=</base64>"),
        (Value::Array(vec![]), "<array><data></data></array>"),
        (Struct::default().into(), "<struct></struct>"),
        (
            [("", vec![1, 2].into()), ("b", Struct::default().into())].into(),
            "<struct><member><name></name><value><array><data><value><int>1</int></value><value><int>2</int></value>\
             </data></array></value></member><member><name>b</name><value><struct></struct></value></member></struct>",
        ),
    ] {
        assert_eq!(text_of(value), format!("<value>{inner}</value>"));
    }
}

#[test]
fn what_cannot_be_written_is_named() {
    let deep: Value = [(
        "a",
        Value::Array(vec![1.into(), [("b\0", Value::Nil)].into()]),
    )]
    .into();
    let error = request(deep).unwrap_err();
    assert_eq!(
        error.to_string(),
        "params[0].a[1].b\u{fffd}: the character U+0000 does not exist in XML; send the text as base64"
    );
    let error = request("\u{ffff}".into()).unwrap_err();
    assert_eq!(
        (error.path.as_str(), error.unfit),
        ("params[0]", Unfit::Character('\u{ffff}'))
    );
    let name = crate::xmlrpc::request("\x1b", vec![]).unwrap_err();
    assert_eq!(name.path, "methodName");
    let strict = EncodeOptions {
        wide_integers: WideIntegers::Refuse,
        ..EncodeOptions::default()
    };
    let wide = Ok(Value::Array(vec![0.into(), (1_i64 << 31).into()]));
    let error = encode_response(&wide, &strict).unwrap_err();
    assert_eq!(error.to_string(), "result[1]: an integer beyond 32 bits");
}

fn request(value: Value) -> Result<Vec<u8>, EncodeError> {
    crate::xmlrpc::request("m", vec![value])
}

#[test]
fn a_response_can_always_be_written() {
    let answer = encode_response_always(&Ok("\x07".into()), &EncodeOptions::default());
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.contains("<int>-32603</int>"), "{answer}");
    assert!(answer.contains("U+0007"), "{answer}");
    let fault = Err(Fault::new(1, "bell \x07"));
    let answer = encode_response(&fault, &EncodeOptions::default()).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.contains("bell \u{fffd}"), "{answer}");
    let replace = EncodeOptions {
        characters: Characters::Replace,
        ..EncodeOptions::default()
    };
    let answer = encode_response(&Ok("\x1b[0m".into()), &replace).unwrap();
    assert!(
        String::from_utf8(answer)
            .unwrap()
            .contains("<string>\u{fffd}[0m<")
    );
}
