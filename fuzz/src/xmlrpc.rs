//! Calls and responses: what is read is written so that it is read again as the same, and nothing is larger than its limits.

use windlass_wire::xmlrpc::{
    Characters, EncodeOptions, Limits, Value, WideIntegers, decode_call, decode_response,
    encode_call, encode_response, encode_response_always,
};

const LIMITS: Limits = Limits {
    bytes: 1 << 16,
    depth: 40,
    values: 2_000,
};
const AGAIN: Limits = Limits {
    // what is written is longer than what was read: `<value>x</value>` has no type
    bytes: 1 << 22,
    ..LIMITS
};

/// See the module.
pub fn check(data: &[u8]) {
    let options = EncodeOptions::default();
    if let Ok(call) = decode_call(data, &LIMITS) {
        assert!(call.params.iter().map(count).sum::<usize>() <= LIMITS.values);
        // What was read holds no character that XML lacks.
        let written = encode_call(&call, &options).expect("a call that was read");
        let again = decode_call(&written, &AGAIN).expect("a call that was written");
        assert_eq!(format!("{again:?}"), format!("{call:?}"));
        let refusing = EncodeOptions {
            wide_integers: WideIntegers::Refuse,
            characters: Characters::Replace,
        };
        let _ = encode_call(&call, &refusing);
    }
    if let Ok(response) = decode_response(data, &LIMITS) {
        let written = encode_response(&response, &options).expect("a response that was read");
        let again = decode_response(&written, &AGAIN).expect("a response that was written");
        assert_eq!(format!("{again:?}"), format!("{response:?}"));
        assert_eq!(encode_response_always(&response, &options), written);
    }
}

fn count(value: &Value) -> usize {
    let within = match value {
        Value::Array(all) => all.iter().map(count).sum(),
        Value::Struct(all) => all.iter().map(|(_, value)| count(value)).sum(),
        _ => 0,
    };
    within + 1
}
