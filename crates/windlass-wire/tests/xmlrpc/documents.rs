//! What documents say, and where and why others say nothing.

use windlass_wire::xmlrpc::{
    Call, DecodeError, Fault, Limits, Value, Wrong, decode_call, decode_response,
};

fn call(document: impl AsRef<[u8]>) -> Result<Call, DecodeError> {
    decode_call(document.as_ref(), &Limits::default())
}

fn inner(value: &str) -> Result<Value, DecodeError> {
    let document =
        format!("<methodResponse><params><param>{value}</param></params></methodResponse>");
    decode_response(document.as_bytes(), &Limits::default()).map(Result::unwrap)
}

#[test]
fn a_call_without_params_or_with_empty_ones() {
    let none = Call {
        method: "m".into(),
        params: vec![],
    };
    for rest in [
        "",
        "<params/>",
        "<params></params>",
        "\n <params>\n</params>\n<!-- . -->",
    ] {
        let document = format!("<methodCall><methodName>m</methodName>{rest}</methodCall>");
        assert_eq!(call(document), Ok(none.clone()), "{rest}");
    }
}

#[test]
fn faults_are_read() {
    let of = |code: &str, text: &str| {
        let document = format!(
            "<methodResponse><fault><value><struct><member><name>faultCode</name><value>{code}</value></member>\
             <member><name>faultString</name><value>{text}</value></member></struct></value></fault></methodResponse>"
        );
        decode_response(document.as_bytes(), &Limits::default())
    };
    let no = Ok(Err(Fault::new(4, "no")));
    assert_eq!(of("<int>4</int>", "<string>no</string>"), no);
    assert_eq!(of("4", "no"), no);
    assert!(of("x", "no").is_err());
    assert!(of("<int>4</int>", "<int>1</int>").is_err());
}

fn encoded(name: &str, bytes: &[u8]) -> Result<Call, DecodeError> {
    let mut document =
        format!("<?xml version='1.0' encoding='{name}'?><methodCall><methodName>").into_bytes();
    document.extend(bytes);
    document.extend(b"</methodName></methodCall>");
    call(document)
}

#[test]
fn declared_encodings_are_honoured() {
    for (name, bytes, text) in [
        ("UTF-8", "é€".as_bytes(), "é€"),
        ("utf-8", b"\xc3\xa9", "é"),
        ("ISO-8859-1", b"\xe9\x80\xa4", "é\u{80}¤"),
        ("latin1", b"\xe9", "é"),
        ("iso-8859-15", b"\xe9\xa4", "é€"),
        ("windows-1252", b"\xe9\x80", "é€"),
        ("US-ASCII", b"e", "e"),
        ("koi8-r", b"\xc1", "а"),
    ] {
        assert_eq!(encoded(name, bytes).unwrap().method, text, "{name}");
    }
    for (name, bytes, code, why) in [
        ("UTF-8", b"\xff".as_slice(), -32702, "0xff"),
        ("us-ascii", b"\xe9", -32702, "0xe9"),
        ("windows-1253", b"\xaa", -32702, "windows-1253"),
        ("EBCDIC-9", b"e", -32701, "EBCDIC-9"),
        ("shift_jis", b"e", -32701, "shift_jis"),
        ("UTF-16", b"e", -32701, "UTF-16"),
        ("UTF-8", b"a\x0b", -32702, "U+000B"),
        ("UTF-8", "\u{fffe}".as_bytes(), -32702, "U+FFFE"),
        ("UTF-8", b"&#1;", -32702, "U+0001"),
        ("UTF-8", b"&#xFFFF;", -32702, "U+FFFF"),
        ("8bit", b"e", -32700, "8bit"),
    ] {
        let error = encoded(name, bytes).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[test]
fn utf_16_is_known_by_its_mark_or_its_first_character() {
    for declaration in [
        "",
        "<?xml version=\"1.0\" encoding=\"UTF-16\"?>",
        "<?xml version=\"1.0\"?>",
    ] {
        let text = format!("{declaration}<methodCall><methodName>é€😀</methodName></methodCall>");
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for bytes in [
            [b"\xff\xfe".as_slice(), &little].concat(),
            [b"\xfe\xff".as_slice(), &big].concat(),
            little,
            big,
        ] {
            assert_eq!(call(&bytes).unwrap().method, "é€😀", "{declaration}");
            assert!(call(&bytes[..bytes.len() - 1]).is_err());
        }
    }
    let text =
        "<?xml version='1.0' encoding='utf-8'?><methodCall><methodName>a</methodName></methodCall>";
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(call(bytes).unwrap_err().code(), -32701);
    let marked = format!("\u{feff}{text}");
    assert_eq!(call(marked).unwrap().method, "a");
    let wrong = format!("\u{feff}{}", text.replace("utf-8", "latin1"));
    assert_eq!(call(wrong).unwrap_err().code(), -32701);
}

#[test]
fn declarations_are_checked() {
    for declaration in [
        "<?xml version='1.0'?>",
        "<?xml version=\"1.0\"\r\n encoding = 'UTF-8'\r\n standalone='yes' ?>\r\n",
        "<?xml version='1.0' standalone='no'?>",
    ] {
        let document = format!("{declaration}<methodCall><methodName>m</methodName></methodCall>");
        assert!(
            call(&document).is_ok(),
            "{declaration}: {:?}",
            call(&document)
        );
    }
    for declaration in [
        "<?xml encoding='UTF-8'?>",
        "<?xml ?>",
        "<?xml version='1.0' version='1.0'?>",
        "<?xml version='1.0'encoding='UTF-8'?>",
        "<?xml version=1.0?>",
        "<?xml version='1.0' standalone='maybe'?>",
        " <?xml version='1.0'?>",
        "<?xml version='1.0'?><?xml version='1.0'?>",
    ] {
        let document = format!("{declaration}<methodCall><methodName>m</methodName></methodCall>");
        assert_eq!(
            call(&document).map_err(|e| e.code()),
            Err(-32700),
            "{declaration}"
        );
    }
}

#[test]
fn errors_say_where() {
    let error = call("<methodCall>\r\n<methodName>m</methodName>\r\n  <int>1</int></methodCall>")
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 3, column 3: not XML-RPC: <int> does not stand there in <methodCall>"
    );
    let error = call("<?xml version='1.0'?>\n<methodCall><a></methodCall>").unwrap_err();
    assert_eq!(error.at, Some((2, 13)));
    let error = inner("<value><int>x</int></value>").unwrap_err();
    assert_eq!(error.at, Some((1, 45)));
    assert_eq!(
        error.wrong,
        Wrong::Invalid("<int> holds something else than a whole number".into())
    );
    assert_eq!(Fault::from(error).code, -32600);
}

#[test]
fn what_is_not_well_formed_is_named_so() {
    for document in [
        "",
        " ",
        "text",
        "<methodCall>",
        "<methodCall></methodResponse>",
        "</methodCall>",
        "<methodCall><methodName>m</methodName></methodCall>x",
        "<methodCall><methodName>m</methodName></methodCall><methodCall/>",
        "<methodCall><methodName>m</methodName></methodCall><![CDATA[]]>",
        "<methodCall><methodName>a]]>b</methodName></methodCall>",
        "<methodCall><methodName>&nbsp;</methodName></methodCall>",
        "<methodCall><methodName>&#xd800;</methodName></methodCall>",
        "<methodCall><methodName>&#x110000;</methodName></methodCall>",
        "<methodCall><methodName>&#;</methodName></methodCall>",
        "<methodCall><methodName>a & b</methodName></methodCall>",
        "<methodCall><!-- -- --><methodName>m</methodName></methodCall>",
        "<methodCall a='1' a='2'><methodName>m</methodName></methodCall>",
        "<methodCall a=1><methodName>m</methodName></methodCall>",
        "<methodCall a='<'><methodName>m</methodName></methodCall>",
        "<methodCall a='&x;'><methodName>m</methodName></methodCall>",
        "<methodCall><methodName>m</methodName></methodCall>&amp;",
    ] {
        let found = call(document).map_err(|e| e.code());
        assert_eq!(found, Err(-32700), "{document}: {:?}", call(document));
    }
}

#[test]
fn what_is_no_xml_rpc_is_named_so() {
    for document in [
        "<html/>",
        "<methodCall/>",
        "<methodCall><params/></methodCall>",
        "<methodCall><methodName>m</methodName><methodName>m</methodName></methodCall>",
        "<methodCall>x<methodName>m</methodName></methodCall>",
        "<methodCall><methodName>m<b/></methodName></methodCall>",
        "<methodCall><methodName>m</methodName><params><value/></params></methodCall>",
        "<methodCall><methodName>m</methodName><params><param/></params></methodCall>",
        "<methodResponse><params><param><value/></param></params></methodResponse>",
        "<!DOCTYPE methodCall><methodCall><methodName>m</methodName></methodCall>",
    ] {
        let found = call(document).map_err(|e| e.code());
        assert_eq!(found, Err(-32600), "{document}");
    }
    for document in [
        "<methodResponse/>",
        "<methodResponse><params/></methodResponse>",
        "<methodResponse><fault/></methodResponse>",
        "<methodResponse><fault><value/></fault></methodResponse>",
        "<methodResponse><params><param><value/></param><param><value/></param></params></methodResponse>",
        "<methodCall><methodName>m</methodName></methodCall>",
    ] {
        let found = decode_response(document.as_bytes(), &Limits::default());
        assert_eq!(found.map_err(|e| e.code()), Err(-32600), "{document}");
    }
}
