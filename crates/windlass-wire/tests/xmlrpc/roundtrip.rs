//! What is written is read again as it was.

use proptest::prelude::*;
use windlass_wire::xmlrpc::{
    Call, Characters, EncodeOptions, Fault, Limits, Value, decode_call, decode_response,
    encode_call, encode_response,
};

use crate::values::{text, value};

proptest! {
    #[test]
    fn calls(method in text(), params in proptest::collection::vec(value(), 0..4)) {
        let call = Call { method, params };
        let bytes = encode_call(&call, &EncodeOptions::default()).unwrap();
        prop_assert_eq!(decode_call(&bytes, &Limits::default()).unwrap(), call);
    }

    #[test]
    fn responses(value in value()) {
        let bytes = encode_response(&Ok(value.clone()), &EncodeOptions::default()).unwrap();
        prop_assert_eq!(decode_response(&bytes, &Limits::default()).unwrap(), Ok(value));
    }

    #[test]
    fn faults(code in any::<i64>(), text in text()) {
        let fault = Err(Fault::new(code, text));
        let bytes = encode_response(&fault, &EncodeOptions::default()).unwrap();
        prop_assert_eq!(decode_response(&bytes, &Limits::default()).unwrap(), fault);
    }

    /// Whatever the text, what is written is well-formed; and what could be written was not changed.
    #[test]
    fn any_text_at_all(text in any::<String>()) {
        let value = Ok(Value::from(text.as_str()));
        let replace = EncodeOptions { characters: Characters::Replace, ..EncodeOptions::default() };
        let bytes = encode_response(&value, &replace).unwrap();
        let read = decode_response(&bytes, &Limits::default()).unwrap().unwrap();
        let wanted: String = text
            .chars()
            .map(|c| match c {
                '\t' | '\n' | '\r' => c,
                '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
                c => c,
            })
            .collect();
        prop_assert_eq!(read, Value::from(wanted.as_str()));
        let strict = encode_response(&value, &EncodeOptions::default());
        prop_assert_eq!(strict.is_ok(), wanted == text);
    }
}
