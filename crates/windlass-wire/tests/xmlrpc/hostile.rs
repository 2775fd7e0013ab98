//! Inputs that want to exhaust memory, stack or time, or to make it panic.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use windlass_wire::xmlrpc::{
    DecodeError, Limits, MAX_DEPTH, Response, Value, Wrong, decode_call, decode_response,
    encode_response,
};

fn response(inner: &str) -> String {
    format!("<methodResponse><params><param>{inner}</param></params></methodResponse>")
}

fn nested(levels: usize) -> String {
    let open = "<value><array><data>".repeat(levels - 1);
    let close = "</data></array></value>".repeat(levels - 1);
    response(&format!("{open}<value/>{close}"))
}

fn nested_structs(levels: usize) -> String {
    let open = "<value><struct><member><name>a</name>".repeat(levels - 1);
    let close = "</member></struct></value>".repeat(levels - 1);
    response(&format!("{open}<value/>{close}"))
}

fn read(document: &str) -> Result<Response, DecodeError> {
    decode_response(document.as_bytes(), &Limits::default())
}

fn no_limits() -> Limits {
    Limits {
        bytes: usize::MAX,
        depth: usize::MAX,
        values: usize::MAX,
    }
}

fn wrong(document: &str, limits: &Limits) -> Wrong {
    let begun = Instant::now();
    let error = decode_response(document.as_bytes(), limits).unwrap_err();
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    error.wrong
}

#[test]
fn nesting_is_limited_whatever_is_configured() {
    assert!(read(&nested(MAX_DEPTH)).is_ok());
    let deep = Wrong::TooDeep(MAX_DEPTH);
    for levels in [MAX_DEPTH + 1, 10_000] {
        assert_eq!(wrong(&nested(levels), &Limits::default()), deep);
        assert_eq!(wrong(&nested_structs(levels), &Limits::default()), deep);
    }
    let large = Wrong::TooLarge(1 << 20);
    assert_eq!(wrong(&nested(1_000_000), &Limits::default()), large);
    for document in [nested(1_000_000), nested_structs(1_000_000)] {
        assert_eq!(wrong(&document, &no_limits()), deep);
    }
    let shallow = Limits {
        depth: 2,
        ..Limits::default()
    };
    assert!(decode_response(nested(2).as_bytes(), &shallow).is_ok());
    assert_eq!(wrong(&nested(3), &shallow), Wrong::TooDeep(2));
}

/// Whatever recursive code does with the deepest value fits on half of a thread's usual stack of 2 MiB.
#[test]
fn the_deepest_value_can_be_used() {
    let on_a_thread = || {
        for document in [nested(MAX_DEPTH), nested_structs(MAX_DEPTH)] {
            let value = read(&document).unwrap().unwrap();
            let same = value.clone();
            assert_eq!(value, same);
            assert!(format!("{value:?}").len() > MAX_DEPTH);
            let json = serde_json::Value::from(&value);
            assert_eq!(Value::from(json.clone()), value);
            drop(json);
            let again = encode_response(&Ok(value), &Default::default()).unwrap();
            assert_eq!(decode_response(&again, &Limits::default()), Ok(Ok(same)));
        }
    };
    let thread = std::thread::Builder::new().stack_size(1 << 20);
    thread.spawn(on_a_thread).unwrap().join().unwrap();
}

#[test]
fn values_are_limited() {
    let many = |n: usize| {
        response(&format!(
            "<value><array><data>{}</data></array></value>",
            "<value/>".repeat(n - 1)
        ))
    };
    assert!(read(&many(100_000)).is_ok());
    assert_eq!(
        wrong(&many(100_001), &Limits::default()),
        Wrong::TooMany(100_000)
    );
    let large = Limits {
        bytes: usize::MAX,
        ..Limits::default()
    };
    assert_eq!(wrong(&many(5_000_000), &large), Wrong::TooMany(100_000));
    assert_eq!(
        wrong(&many(5_000_000), &Limits::default()),
        Wrong::TooLarge(1 << 20)
    );
}

#[test]
fn bytes_are_limited_to_the_byte() {
    let document = response("<value/>");
    let exact = |bytes| Limits {
        bytes,
        ..Limits::default()
    };
    assert!(decode_response(document.as_bytes(), &exact(document.len())).is_ok());
    let short = document.len() - 1;
    assert_eq!(wrong(&document, &exact(short)), Wrong::TooLarge(short));
}

#[test]
fn entities_cannot_be_declared() {
    let laughs = r#"<?xml version="1.0"?>
<!DOCTYPE lolz [
  <!ENTITY lol "lol">
  <!ENTITY lol2 "&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">
  <!ENTITY lol3 "&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;&lol2;">
]>
<methodCall><methodName>&lol3;</methodName></methodCall>"#;
    let file = "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><methodCall><methodName>&x;</methodName></methodCall>";
    for document in [laughs, file] {
        let error = decode_call(document.as_bytes(), &Limits::default()).unwrap_err();
        assert_eq!(error.wrong, Wrong::Invalid("DOCTYPE is refused".into()));
        assert_eq!(error.code(), -32600);
    }
}

/// What costs more than its length when done plainly.
#[test]
fn no_input_takes_more_than_linear_time() {
    let members: String = (0..11_000)
        .map(|n| {
            format!(
                "<member><name>{n}</name><value/></member><member><name>{n}</name><value/></member>"
            )
        })
        .collect();
    let attributes: String = (0..90_000).map(|n| format!(" a{n}=''")).collect();
    let begun = Instant::now();
    let members = read(&response(&format!(
        "<value><struct>{members}</struct></value>"
    )));
    assert_eq!(members.unwrap().unwrap().as_struct().unwrap().len(), 11_000);
    for bad in [
        response(&format!("<value{attributes}/>")),
        response(&format!("<value{}/>", " a".repeat(500_000))),
        response(&format!("<value>{}", "&#x41;".repeat(170_000))),
        response(&"<!-- -->".repeat(130_000)),
        response(&format!("<{}/>", "a".repeat(1_000_000))),
        response(&format!(
            "<value><int>{}x</int></value>",
            "1".repeat(1_000_000)
        )),
        response(&format!(
            "<value><double>{}x</double></value>",
            "1".repeat(1_000_000)
        )),
        "<".repeat(1 << 20),
        "&".repeat(1 << 20),
        "<![CDATA[".repeat(100_000),
        "<!--".repeat(200_000),
        "<?xml ".to_owned() + &"a='' ".repeat(200_000),
    ] {
        assert!(read(&bad).is_err(), "{}", &bad[..80]);
    }
    let digits = response(&format!(
        "<value><int>{}</int></value>",
        "1_".repeat(500_000) + "1"
    ));
    assert!(read(&digits).is_ok());
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
}

const WHOLE: &str = "<?xml version='1.0' encoding='UTF-8'?>\n<!-- é --><methodCall a='b'><methodName>m</methodName><params>\
<param><value><struct><member><name>n</name><value><array><data><value>a&amp;<![CDATA[b]]></value><value><i4>1</i4></value>\
<value><base64>AP8=</base64></value><value><nil/></value></data></array></value></member></struct></value></param></params></methodCall>";

#[test]
fn cut_off_at_any_byte_it_is_an_error() {
    assert!(decode_call(WHOLE.as_bytes(), &Limits::default()).is_ok());
    for end in 0..WHOLE.len() {
        let error = decode_call(&WHOLE.as_bytes()[..end], &Limits::default());
        let code = error.map_err(|e| e.code()).unwrap_err();
        assert!(code == -32700 || code == -32702, "{end}: {code}");
    }
    let wide: Vec<u8> = WHOLE
        .replace("UTF-8", "UTF-16")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert!(decode_call(&wide, &Limits::default()).is_ok());
    for end in 0..wide.len() {
        assert!(
            decode_call(&wide[..end], &Limits::default()).is_err(),
            "{end}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode_call(&bytes, &Limits::default());
    }

    #[test]
    fn no_tags_make_it_panic(parts in proptest::collection::vec(0..PARTS.len(), 0..60)) {
        let document: String = parts.into_iter().map(|n| PARTS[n]).collect();
        let _ = decode_call(document.as_bytes(), &Limits::default());
        let _ = decode_response(document.as_bytes(), &Limits::default());
    }

    /// One byte changed, put in or taken out.
    #[test]
    fn no_slip_makes_it_panic(at in 0..WHOLE.len(), byte in any::<u8>(), how in 0..3) {
        let mut bytes = WHOLE.as_bytes().to_vec();
        match how {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            _ => { bytes.remove(at); }
        }
        let _ = decode_call(&bytes, &Limits::default());
    }
}

const PARTS: &[&str] = &[
    "<methodCall>",
    "</methodCall>",
    "<methodName>",
    "</methodName>",
    "<params>",
    "</params>",
    "<param>",
    "</param>",
    "<value>",
    "</value>",
    "<value/>",
    "<array>",
    "</array>",
    "<data>",
    "</data>",
    "<struct>",
    "</struct>",
    "<member>",
    "</member>",
    "<name>",
    "</name>",
    "<int>",
    "</int>",
    "<methodResponse>",
    "</methodResponse>",
    "<fault>",
    "</fault>",
    "<nil/>",
    "1",
    " ",
    "&amp;",
    "&#0;",
    "&",
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "<?xml version='1.0'?>",
    "<?a?>",
    "\u{feff}",
];
