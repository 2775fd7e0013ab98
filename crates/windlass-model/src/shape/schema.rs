//! JSON Schema, compiled to what the check asks.

use std::collections::HashMap;

use serde_json::Value as Json;

/// Kinds by number, so that a schema may refer to itself. The first is the whole.
#[derive(Clone, Debug)]
pub(super) struct Schema {
    pub(super) kinds: Vec<Kind>,
}

/// What a value may be. Whatever is absent here is not asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Kind {
    pub(super) types: Option<Types>,
    pub(super) values: Option<Vec<Json>>,
    pub(super) minimum: Option<f64>,
    pub(super) maximum: Option<f64>,
    pub(super) min_length: u64,
    pub(super) min_items: u64,
    pub(super) max_items: Option<u64>,
    pub(super) items: Option<usize>,
    pub(super) prefix: Vec<usize>,
    /// In the order of the schema.
    pub(super) properties: Vec<(String, usize)>,
    pub(super) required: Vec<String>,
    pub(super) others: Others,
    pub(super) all_of: Vec<usize>,
    /// Each list: one of these at least.
    pub(super) any_of: Vec<Vec<usize>>,
    /// Nothing fits.
    pub(super) is_never: bool,
}

/// What keys without a schema of their own may be.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Others {
    #[default]
    Any,
    None,
    Like(usize),
}

/// The types of JSON Schema that fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Types {
    pub(super) null: bool,
    pub(super) boolean: bool,
    pub(super) integer: bool,
    pub(super) number: bool,
    pub(super) string: bool,
    pub(super) array: bool,
    pub(super) object: bool,
}

impl Types {
    fn read(json: &Json) -> Option<Self> {
        let mut types = Self::default();
        let names: Vec<&str> = match json {
            Json::String(name) => vec![name],
            Json::Array(names) => names.iter().filter_map(Json::as_str).collect(),
            _ => return None,
        };
        for name in names {
            match name {
                "null" => types.null = true,
                "boolean" => types.boolean = true,
                "integer" => types.integer = true,
                "number" => types.number = true,
                "string" => types.string = true,
                "array" => types.array = true,
                "object" => types.object = true,
                _ => return None,
            }
        }
        Some(types)
    }
}

impl Schema {
    pub(super) fn compile(root: &Json) -> Self {
        let mut compiler = Compiler {
            root,
            kinds: Vec::new(),
            references: HashMap::new(),
        };
        compiler.add(root);
        let mut schema = Self {
            kinds: compiler.kinds,
        };
        let says_nothing_of_others = root.get("additionalProperties").is_none();
        if let Some(first) = schema.kinds.first_mut()
            && says_nothing_of_others
            && !first.properties.is_empty()
            && first.all_of.is_empty()
            && first.any_of.is_empty()
        {
            first.others = Others::None;
        }
        schema
    }
}

struct Compiler<'a> {
    root: &'a Json,
    kinds: Vec<Kind>,
    references: HashMap<String, usize>,
}

impl Compiler<'_> {
    /// The number of the kind that `json` describes.
    fn add(&mut self, json: &Json) -> usize {
        let number = self.kinds.len();
        self.kinds.push(Kind::default());
        let kind = self.kind(json);
        if let Some(place) = self.kinds.get_mut(number) {
            *place = kind;
        }
        number
    }

    fn kind(&mut self, json: &Json) -> Kind {
        let mut kind = Kind::default();
        let Json::Object(object) = json else {
            kind.is_never = *json == Json::Bool(false);
            return kind;
        };
        let number = |key: &str| object.get(key).and_then(Json::as_f64);
        let count = |key: &str| object.get(key).and_then(Json::as_u64);
        kind.types = object.get("type").and_then(Types::read);
        kind.minimum = number("minimum");
        kind.maximum = number("maximum").or_else(|| largest(object.get("format")?.as_str()?));
        kind.min_length = count("minLength").unwrap_or(0);
        kind.min_items = count("minItems").unwrap_or(0);
        kind.max_items = count("maxItems");
        kind.values = match (object.get("const"), object.get("enum")) {
            (Some(value), _) => Some(vec![value.clone()]),
            (None, Some(Json::Array(values))) => Some(values.clone()),
            _ => None,
        };
        kind.items = object.get("items").map(|items| self.add(items));
        kind.prefix = self.list(object.get("prefixItems"));
        if let Some(Json::Object(properties)) = object.get("properties") {
            for (key, property) in properties {
                let property = self.add(property);
                kind.properties.push((key.clone(), property));
            }
        }
        if let Some(Json::Array(required)) = object.get("required") {
            let names = required.iter().filter_map(Json::as_str);
            kind.required = names.map(str::to_owned).collect();
        }
        kind.others = match object.get("additionalProperties") {
            Some(Json::Bool(false)) => Others::None,
            Some(Json::Object(others)) if !others.is_empty() => {
                Others::Like(self.add(&Json::Object(others.clone())))
            }
            _ => Others::Any,
        };
        kind.all_of = self.list(object.get("allOf"));
        if let Some(Json::String(reference)) = object.get("$ref") {
            kind.all_of.extend(self.reference(reference));
        }
        for key in ["anyOf", "oneOf"] {
            if let Some(Json::Array(branches)) = object.get(key) {
                match words(branches) {
                    Some(words) if kind.values.is_none() => kind.values = Some(words),
                    _ => {
                        let branches = self.list(object.get(key));
                        kind.any_of.push(branches);
                    }
                }
            }
        }
        kind
    }

    fn list(&mut self, json: Option<&Json>) -> Vec<usize> {
        match json {
            Some(Json::Array(list)) => list.iter().map(|json| self.add(json)).collect(),
            _ => Vec::new(),
        }
    }

    /// A reference within the schema, `#/$defs/Name`; others are not understood.
    fn reference(&mut self, reference: &str) -> Option<usize> {
        if let Some(number) = self.references.get(reference) {
            return Some(*number);
        }
        let json = self.root.pointer(reference.strip_prefix('#')?)?;
        if reference == "#" {
            return Some(0);
        }
        self.references
            .insert(reference.to_owned(), self.kinds.len());
        Some(self.add(json))
    }
}

/// The words of an enum whose variants are described one by one.
fn words(branches: &[Json]) -> Option<Vec<Json>> {
    let mut words = Vec::new();
    for branch in branches {
        match (branch.get("const"), branch.get("enum")) {
            (Some(word @ Json::String(_)), _) => words.push(word.clone()),
            (None, Some(Json::Array(more))) if more.iter().all(Json::is_string) => {
                words.extend(more.iter().cloned());
            }
            _ => return None,
        }
    }
    (!words.is_empty()).then_some(words)
}

/// The largest number of a format of schemars.
fn largest(format: &str) -> Option<f64> {
    match format {
        "uint8" => Some(u8::MAX.into()),
        "uint16" => Some(u16::MAX.into()),
        "uint32" => Some(u32::MAX.into()),
        "int8" => Some(i8::MAX.into()),
        "int16" => Some(i16::MAX.into()),
        "int32" => Some(i32::MAX.into()),
        _ => None,
    }
}
