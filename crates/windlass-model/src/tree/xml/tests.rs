//! Tests of XML.

use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;
use crate::tree::{Map, write_json};

fn json(text: &str) -> String {
    match parse_xml(&Source::new("a.xml", text)) {
        Ok(item) => {
            let mut out = Vec::new();
            write_json(&item.node, &mut out).unwrap();
            let json = String::from_utf8(out).unwrap();
            let flat: Vec<&str> = json.lines().map(str::trim).collect();
            format!("{}: {}", item.kind, flat.join(" "))
        }
        Err(faults) => faults.to_string(),
    }
}

#[test]
fn elements_and_attributes_are_keys() {
    assert_eq!(
        json(
            r#"<?xml version="1.0" encoding="UTF-8"?>
<!-- a comment --><m name="a&amp;b" klass='K' package="p.q" xmlns="urn:x">
  <port> 10000 </port><empty/><also></also>
  <t>1</t><t>2</t><t a="b">3</t>
  <kept><![CDATA[ <x> ]]></kept> <ref>a&#10;&lt;&#x41;</ref>
  <entry key="1st">v</entry>
</m>"#
        ),
        r#"m: { "name": "a&b", "klass": "K", "package": "p.q", "port": "10000", "empty": null, "also": null, "t": [ "1", "2", { "a": "b", "text": "3" } ], "kept": " <x> ", "ref": "a\n<A", "1st": "v" }"#
    );
    assert_eq!(json("<m>\n text </m>"), r#"m: "text""#);
}

#[test]
fn secrets_are_references() {
    let text =
        r#"<m><a secret="env:A"/><b secret="file:/x y"></b><c secret="command:pass show  x"/></m>"#;
    assert_eq!(
        json(text),
        r#"m: { "a": { "$secret": { "env": "A" } }, "b": { "$secret": { "file": "/x y" } }, "c": { "$secret": { "command": [ "pass", "show", "x" ] } } }"#
    );
}

#[test]
fn spans_point_at_texts() {
    let source = Source::new("a.xml", "<m a=\"1\">\n  <b>\n   two </b></m>");
    let item = parse_xml(&source).unwrap();
    let at = |key: &str| {
        let span = item.node.get(key).unwrap().span;
        &source.text()[span.start as usize..span.end as usize]
    };
    assert_eq!((at("a"), at("b")), ("1", "two"));
}

#[test]
fn faults_say_what_and_where() {
    let wrong = [
        "",
        "<!-- nothing -->",
        "just text",
        "<a>",
        "<a><b></a>",
        "<a></a><b/>",
        "<a/>more",
        "</a>",
        "<a b=c/>",
        "<a b/>",
        "<a b=\"1\" b=\"2\"/>",
        "<a b=\"1\"><b>2</b></a>",
        "<a>text<b/></a>",
        "<a>&nbsp;</a>",
        "<a b=\"&nbsp;\"/>",
        "<a>& b</a>",
        "<a>&#0;</a>",
        "<x:a/>",
        "<a><1st/></a>",
        "<a><b secret=\"hunter2\"/></a>",
        "<a><b secret=\"env:X\">more</b></a>",
        "<a><b",
        "<a b=\"",
        "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
        " <?xml version=\"1.0\"?><a/>",
    ];
    let all = wrong.map(|text| format!("--- {text}\n{}", json(text)));
    assert_snapshot!(all.join("\n"));
}

#[test]
fn bombs_end_early() {
    let deep = "<a>".repeat(100_000);
    assert!(json(&deep).contains("nested too deep"), "{}", json(&deep));
    let wide = format!("<a>{}</a>", "<b/>".repeat(MOST_NODES + 1));
    assert!(json(&wide).contains("more than"));
    let long = " ".repeat(MAX_BYTES + 1);
    assert!(json(&long).contains("longer than"));
    let attributes: String = (0..200_000).map(|n| format!(" a{n}=\"\"")).collect();
    assert!(json(&format!("<a{attributes}/>")).starts_with("a: {"));
    let lol = "<!DOCTYPE l [<!ENTITY a \"x\"><!ENTITY b \"&a;&a;\">]><l>&b;</l>";
    assert!(json(lol).contains("a DOCTYPE is not read"));
}

#[test]
fn encodings_are_those_declared() {
    let read = |bytes: &[u8]| match super::source("a.xml", bytes.to_vec()) {
        Ok(source) => source.text().to_owned(),
        Err(fault) => fault.to_string(),
    };
    let latin = b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe9</a>";
    assert!(read(latin).ends_with("<a>\u{e9}</a>"));
    assert_eq!(read(b"\xef\xbb\xbf<a/>"), "<a/>");
    let told = [
        read(b"<a>\xe9</a>"),
        read(b"\xff\xfe<\0a\0"),
        read(b"<?xml version=\"1.0\" encoding=\"koi8-r\"?><a/>"),
        read(b"<?xml version=\"1.0\" encoding=\"US-ASCII\"?><a>\xff</a>"),
    ];
    assert_snapshot!(told.concat());
}

#[test]
fn what_is_wanted_decides() {
    let both = Plain {
        number: true,
        boolean: true,
        string: false,
    };
    let fitted = |text: &str, wanted: Plain| {
        let mut node = Node::from(text);
        fit(&mut node, wanted);
        node.value
    };
    assert_eq!(fitted("5", both), Value::Int(5));
    assert_eq!(fitted("1.5", both), Value::Float(1.5));
    assert_eq!(fitted("true", both), Value::Bool(true));
    assert_eq!(fitted("yes", both), Value::String("yes".into()));
    let string = Plain {
        string: true,
        ..both
    };
    assert_eq!(fitted("5", string), Value::String("5".into()));
    let listed = |text: &str| {
        let mut node = parse_xml(&Source::new("a.xml", text)).unwrap().node;
        fit_list(&mut node);
        node.as_list().map(<[Node]>::len)
    };
    assert_eq!(listed("<a><t>1</t><t>2</t></a>"), Some(2));
    assert_eq!(listed("<a><t>1</t></a>"), Some(1));
    assert_eq!(listed("<a>1</a>"), Some(1));
    assert_eq!(listed("<a/>"), Some(0));
    assert_eq!(listed("<a><t>1</t><u>2</u></a>"), Some(1));
}

fn tree() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        Just(Node::new(Value::Null)),
        "[ -~\u{e9}]{1,12}".prop_map(Node::from)
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop::collection::btree_map("[a-z_][a-z0-9_.-]{0,5}", inner, 1..5)
            .prop_map(|map| Node::from(map.into_iter().collect::<Map>()))
    })
}

fn written(name: &str, node: &Node, out: &mut String) {
    out.push_str(&format!("<{name}>"));
    match &node.value {
        Value::String(text) => {
            for c in text.chars() {
                out.push_str(&format!("&#{};", c as u32));
            }
        }
        Value::Map(map) => map.iter().for_each(|e| written(&e.key, &e.value, out)),
        _ => {}
    }
    out.push_str(&format!("</{name}>"));
}

proptest! {
    #[test]
    fn trees_come_back(node in tree()) {
        let mut text = String::new();
        written("root", &node, &mut text);
        let item = parse_xml(&Source::new("a.xml", text)).unwrap();
        prop_assert_eq!(item.node, node);
    }

    #[test]
    fn nothing_makes_it_panic(text in "[<>/=\"'&;#!a-c\\[\\]\\-? \n\u{e9}\u{1F600}]{0,80}") {
        let _ = json(&text);
    }

    #[test]
    fn what_is_cut_off_is_an_error(at in 1usize..120) {
        let whole = "<m name=\"x\"><a b='c'>t\u{e9}xt &amp; more</a><!-- c --><![CDATA[ ]]><s secret=\"env:A\"/><t/><t>1</t></m>";
        if let Some(cut) = whole.get(..at).filter(|cut| cut.len() < whole.len()) {
            prop_assert!(parse_xml(&Source::new("a.xml", cut)).is_err());
        }
    }

    #[test]
    fn bytes_never_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(source) = super::source("a.xml", bytes) {
            let _ = parse_xml(&source);
        }
    }
}
