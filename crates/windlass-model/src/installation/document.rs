//! One file of an installation, whatever it is written in.

use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics, Source, Span};
use crate::tree::xml::{self, parse_xml};
use crate::tree::{Map, Value, parse_yaml};

/// What a file is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `.yaml`, `.yml`
    Yaml,
    /// `.xml`
    Xml,
}

impl Form {
    /// By the ending of a file's name.
    pub fn of(file: &str) -> Option<(&str, Self)> {
        let (stem, ending) = file.rsplit_once('.')?;
        match ending {
            "yaml" | "yml" => Some((stem, Self::Yaml)),
            "xml" => Some((stem, Self::Xml)),
            _ => None,
        }
    }
}

/// A file as a map of keys.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its text.
    pub source: Arc<Source>,
    /// What it is written in.
    pub form: Form,
    /// Its keys.
    pub map: Map,
    /// Where it is pointed at when it lacks something.
    pub start: Span,
    /// The root element, where it has one.
    pub kind: Option<Arc<str>>,
}

/// Reads the bytes of the file `name`.
pub fn parse(name: &str, bytes: Vec<u8>, form: Form) -> Result<Document, Diagnostics> {
    match form {
        Form::Xml => from_xml(xml::source(name, bytes)?),
        Form::Yaml => {
            let text = String::from_utf8(bytes).map_err(|e| {
                let at = e.utf8_error().valid_up_to();
                Diagnostic::error(format!("{name} cannot be read: byte {at} is no UTF-8"))
                    .hint("save it as UTF-8")
            })?;
            from_yaml(Source::new(name, text))
        }
    }
}

fn from_yaml(source: Arc<Source>) -> Result<Document, Diagnostics> {
    let tree = parse_yaml(&source)?;
    let Value::Map(map) = tree.value else {
        let message = format!("a map is wanted here, not {}", tree.kind());
        let fault = Diagnostic::error(message).at(&source, tree.span);
        return Err(fault.hint("it begins as in `name: template`").into());
    };
    let start = tree.span.start as usize;
    Ok(Document {
        source,
        form: Form::Yaml,
        map,
        start: Span::new(start, start + 1),
        kind: None,
    })
}

fn from_xml(source: Arc<Source>) -> Result<Document, Diagnostics> {
    let item = parse_xml(&source)?;
    let map = match item.node.value {
        Value::Map(map) => map,
        Value::Null => Map::default(),
        _ => {
            let message = format!("`<{}>` holds no elements and no attributes", item.kind);
            let fault = Diagnostic::error(message).at(&source, item.node.span);
            let hint = format!("it begins as in `<{} name=\"template\">`", item.kind);
            return Err(fault.hint(hint).into());
        }
    };
    Ok(Document {
        source,
        form: Form::Xml,
        map,
        start: item.kind_span,
        kind: Some(item.kind),
    })
}
