//! From a tree to types.

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Expected, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use std::sync::Arc;

use super::{Entry, Map, Node, Value, secret};
use crate::diagnostic::{Diagnostic, Source, Span, nearest};

/// What a secret reference is answered with where only an open value will do.
pub const NO_SECRET_HERE: &str = "a secret reference cannot stand here; hand it over in `env`";

/// What a tree cannot be decoded for.
#[derive(Clone, Debug)]
pub struct DecodeError {
    /// The node that is wrong.
    pub span: Span,
    /// Its path from the root, `a.b[2].c`; empty for the root.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl DecodeError {
    /// The same for people; `base` is the path of what was decoded, empty for the root of the text.
    pub fn diagnostic(self, source: Option<&Arc<Source>>, base: &str) -> Diagnostic {
        let mut diagnostic = Diagnostic::error(self.message);
        let path = match (base, self.path.as_str()) {
            ("", path) => path.to_owned(),
            (base, "") => base.to_owned(),
            (base, path) if path.starts_with('[') => format!("{base}{path}"),
            (base, path) => format!("{base}.{path}"),
        };
        if !path.is_empty() {
            diagnostic = diagnostic.key(path);
        }
        if let Some(source) = source {
            diagnostic = diagnostic.at(source, self.span);
        }
        match self.hint {
            Some(hint) => diagnostic.hint(hint),
            None => diagnostic,
        }
    }
}

/// Decodes a tree. The first error ends it, so check the shape first to have all of them.
///
/// `null` is an absent option. A secret reference decodes as [`crate::Text`] or [`crate::SecretRef`], and
/// nothing else.
pub fn decode<T: DeserializeOwned>(node: &Node) -> Result<T, DecodeError> {
    T::deserialize(De(node)).map_err(|error| DecodeError {
        span: error.span.unwrap_or(node.span),
        path: path(&error.path),
        message: error.message,
        hint: error.hint,
    })
}

/// The same from a map alone; `span` is where it stands.
pub fn decode_map<T: DeserializeOwned>(map: &Map, span: Span) -> Result<T, DecodeError> {
    T::deserialize(DeMap(map, span)).map_err(|error| DecodeError {
        span: error.span.unwrap_or(span),
        path: path(&error.path),
        message: error.message,
        hint: error.hint,
    })
}

enum Segment {
    Key(Arc<str>),
    Index(usize),
}

/// The path; segments come innermost first.
fn path(segments: &[Segment]) -> String {
    let mut path = String::new();
    for segment in segments.iter().rev() {
        match segment {
            Segment::Index(index) => path.push_str(&format!("[{index}]")),
            Segment::Key(key) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
            }
        }
    }
    path
}

struct Error {
    message: String,
    hint: Option<String>,
    span: Option<Span>,
    path: Vec<Segment>,
}

impl Error {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            span: None,
            path: Vec::new(),
        }
    }

    /// With the place, unless a deeper one is known.
    fn at(mut self, span: Span) -> Self {
        self.span.get_or_insert(span);
        self
    }

    fn within(mut self, segment: Segment) -> Self {
        self.path.push(segment);
        self
    }

    /// With the nearest name as hint, or all that are known.
    fn known(mut self, word: &str, known: &'static [&'static str]) -> Self {
        self.hint = match nearest(word, known.iter().copied()) {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None if known.is_empty() => None,
            None => Some(format!("known: {}", known.join(", "))),
        };
        self
    }
}

impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// What a visitor wants, in the words of this program.
fn wanted(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    match text.as_str() {
        "a boolean" => "true or false".into(),
        "a sequence" => "a list".into(),
        "f32" | "f64" => "a number".into(),
        "i8" | "i16" | "i32" | "i64" | "u8" | "u16" | "u32" | "u64" | "isize" | "usize" => {
            "a whole number".into()
        }
        "path string" => "a path".into(),
        "unit" => "nothing".into(),
        other if other.starts_with("struct ") => "a map".into(),
        other if other.starts_with("enum ") || other.contains("variant") => "a known word".into(),
        _ => text,
    }
}

fn found(unexpected: Unexpected<'_>) -> String {
    match unexpected {
        Unexpected::Bool(b) => format!("`{b}`"),
        Unexpected::Unsigned(n) => format!("`{n}`"),
        Unexpected::Signed(n) => format!("`{n}`"),
        Unexpected::Float(n) => format!("`{n}`"),
        Unexpected::Str(_) | Unexpected::Char(_) => "a string".into(),
        Unexpected::Unit | Unexpected::Option => "nothing".into(),
        Unexpected::Seq => "a list".into(),
        Unexpected::Map => "a map".into(),
        other => other.to_string(),
    }
}

impl serde::de::Error for Error {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!(
            "here is {}, but {} is wanted",
            found(unexpected),
            wanted(expected)
        ))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match unexpected {
            Unexpected::Str(text) => format!("`{text}`"),
            other => found(other),
        };
        Self::new(format!(
            "here is {found}, but {} is wanted",
            wanted(expected)
        ))
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::new(format!(
            "here are {length} values, but {expected} is wanted"
        ))
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Self::new(format!("unknown key `{field}`")).known(field, known)
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        Self::new(format!("`{variant}` is not known here")).known(variant, known)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(format!("the key `{field}` is missing"))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(format!("the key `{field}` is given twice"))
    }
}

/// A map as a deserializer.
struct DeMap<'a>(&'a Map, Span);

impl<'de> Deserializer<'de> for DeMap<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visit_map(self.0, visitor).map_err(|error| error.at(self.1))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// A node as a deserializer. It lends nothing, so that made-up nodes can be read too.
struct De<'a>(&'a Node);

impl De<'_> {
    fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let span = self.0.span;
        match &self.0.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(b) => visitor.visit_bool(*b),
            Value::Int(int) => match u64::try_from(*int) {
                Ok(unsigned) => visitor.visit_u64(unsigned),
                Err(_) => visitor.visit_i64(*int),
            },
            Value::Float(float) => visitor.visit_f64(*float),
            Value::String(text) => visitor.visit_str(text),
            Value::Secret(reference) => visit_map(&secret::to_map(reference, span), visitor),
            Value::List(list) => visit_list(list, visitor),
            Value::Map(map) => visit_map(map, visitor),
        }
        .map_err(|error| error.at(span))
    }

    fn open(self) -> Result<Self, Error> {
        match &self.0.value {
            Value::Secret(_) => Err(Error::new(NO_SECRET_HERE).at(self.0.span)),
            _ => Ok(self),
        }
    }

    fn whole<'de, V: Visitor<'de>>(
        self,
        min: i64,
        max: i64,
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0.value {
            Value::Int(int) if int < min || int > max => {
                let message = match (min, max) {
                    (0, i64::MAX) => format!("{int} is less than 0"),
                    _ => format!("{int} is not between {min} and {max}"),
                };
                Err(Error::new(message).at(self.0.span))
            }
            Value::Float(float) => Err(Error::new(format!(
                "here is {float}, but a whole number is wanted"
            ))
            .at(self.0.span)),
            _ => self.open()?.visit(visitor),
        }
    }
}

fn visit_map<'de, V: Visitor<'de>>(map: &Map, visitor: V) -> Result<V::Value, Error> {
    visitor.visit_map(Entries {
        rest: map.0.iter(),
        value: None,
    })
}

fn visit_list<'de, V: Visitor<'de>>(list: &[Node], visitor: V) -> Result<V::Value, Error> {
    let mut items = Items {
        rest: list.iter(),
        index: 0,
    };
    let value = visitor.visit_seq(&mut items)?;
    match items.rest.next() {
        Some(extra) => Err(
            Error::new(format!("too many values: {} are wanted", items.index))
                .at(extra.span)
                .within(Segment::Index(items.index)),
        ),
        None => Ok(value),
    }
}

macro_rules! open {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.open()?.visit(visitor)
        }
    )*};
}

macro_rules! whole {
    ($($method:ident $min:expr, $max:expr;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.whole($min, $max, visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for De<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.visit(visitor)
    }

    open! {
        deserialize_bool deserialize_f32 deserialize_f64 deserialize_char deserialize_str deserialize_string
        deserialize_bytes deserialize_byte_buf deserialize_unit deserialize_seq deserialize_map
        deserialize_identifier
    }

    whole! {
        deserialize_i8 i8::MIN.into(), i8::MAX.into();
        deserialize_i16 i16::MIN.into(), i16::MAX.into();
        deserialize_i32 i32::MIN.into(), i32::MAX.into();
        deserialize_i64 i64::MIN, i64::MAX;
        deserialize_i128 i64::MIN, i64::MAX;
        deserialize_u8 0, u8::MAX.into();
        deserialize_u16 0, u16::MAX.into();
        deserialize_u32 0, u32::MAX.into();
        deserialize_u64 0, i64::MAX;
        deserialize_u128 0, i64::MAX;
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.open()?.visit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let span = self.0.span;
        visitor
            .visit_newtype_struct(self)
            .map_err(|error| error.at(span))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.open()?.visit(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.open()?.visit(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.open()?.visit(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let span = self.0.span;
        let visited = match &self.0.value {
            // The text is not repeated: it may be the secret itself.
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::String(_)
            | Value::List(_)
                if name == "SecretRef" =>
            {
                let message = format!(
                    "here is {}, but a secret reference is wanted",
                    self.0.kind()
                );
                let mut error = Error::new(message);
                error.hint = Some(secret::SECRET_HINT.into());
                Err(error)
            }
            Value::String(word) => visitor.visit_enum(Variant {
                name: word,
                name_span: span,
                value: None,
            }),
            Value::Map(map) => match map.0.as_slice() {
                [entry] => visitor.visit_enum(Variant::of(entry)),
                _ => Err(Error::new(format!(
                    "a map with one of these keys is wanted: {}",
                    variants.join(", ")
                ))),
            },
            Value::Secret(reference) if name == "SecretRef" => {
                let map = secret::to_map(reference, span);
                match map
                    .0
                    .first()
                    .and_then(|e| e.value.as_map())
                    .and_then(|m| m.0.first())
                {
                    Some(entry) => visitor.visit_enum(Variant::of(entry)),
                    None => Err(Error::new(NO_SECRET_HERE)),
                }
            }
            Value::Secret(_) => Err(Error::new(NO_SECRET_HERE)),
            _ => Err(Error::new(format!(
                "here is {}, but one of these is wanted: {}",
                self.0.kind(),
                variants.join(", ")
            ))),
        };
        visited.map_err(|error| error.at(span))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}

struct Items<'a> {
    rest: std::slice::Iter<'a, Node>,
    index: usize,
}

impl<'de> SeqAccess<'de> for &mut Items<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some(node) = self.rest.next() else {
            return Ok(None);
        };
        let index = self.index;
        self.index += 1;
        seed.deserialize(De(node))
            .map(Some)
            .map_err(|error| error.at(node.span).within(Segment::Index(index)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

struct Entries<'a> {
    rest: std::slice::Iter<'a, Entry>,
    value: Option<&'a Entry>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some(entry) = self.rest.next() else {
            return Ok(None);
        };
        self.value = Some(entry);
        seed.deserialize(serde::de::value::StrDeserializer::new(&entry.key))
            .map(Some)
            .map_err(|error: Error| {
                error
                    .at(entry.key_span)
                    .within(Segment::Key(entry.key.clone()))
            })
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        let Some(entry) = self.value.take() else {
            return Err(Error::new("a value was asked for before its key"));
        };
        seed.deserialize(De(&entry.value)).map_err(|error| {
            error
                .at(entry.value.span)
                .within(Segment::Key(entry.key.clone()))
        })
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// A variant of an enum: a word, or a map with one key.
struct Variant<'a> {
    name: &'a str,
    name_span: Span,
    value: Option<&'a Entry>,
}

impl<'a> Variant<'a> {
    fn of(entry: &'a Entry) -> Self {
        Self {
            name: &entry.key,
            name_span: entry.key_span,
            value: Some(entry),
        }
    }
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let name = seed
            .deserialize(serde::de::value::StrDeserializer::new(self.name))
            .map_err(|error: Error| error.at(self.name_span))?;
        Ok((name, self))
    }
}

impl Variant<'_> {
    fn with<T>(self, read: impl FnOnce(De<'_>) -> Result<T, Error>) -> Result<T, Error> {
        match self.value {
            Some(entry) => read(De(&entry.value)).map_err(|error| {
                error
                    .at(entry.value.span)
                    .within(Segment::Key(entry.key.clone()))
            }),
            None => Err(Error::new(format!(
                "`{0}` needs a value: write it as a map, {{{0}: ...}}",
                self.name
            ))),
        }
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.value {
            Some(entry) if entry.value.value != Value::Null => {
                Err(Error::new(format!("`{}` takes no value", self.name)).at(entry.value.span))
            }
            _ => Ok(()),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        self.with(|de| seed.deserialize(de))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.with(|de| de.deserialize_seq(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.with(|de| de.deserialize_map(visitor))
    }
}
