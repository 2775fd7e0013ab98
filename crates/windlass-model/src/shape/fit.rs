//! XML has neither numbers nor lists of one: the shape says which are meant.

use super::schema::{Kind, Others, Schema, Types};
use crate::tree::xml::{Plain, fit, fit_list};
use crate::tree::{Map, Node, Value};

/// So deep a schema is followed without a value getting smaller.
const MOST_HOPS: usize = 16;

pub(super) fn map(schema: &Schema, map: &mut Map) {
    if let Some(kind) = schema.kinds.first() {
        entries(schema, kind, map);
    }
}

fn entries(schema: &Schema, kind: &Kind, map: &mut Map) {
    for entry in &mut map.0 {
        let property = kind.properties.iter().find(|(key, _)| **key == *entry.key);
        let number = match (property, kind.others) {
            (Some((_, number)), _) => *number,
            (None, Others::Like(number)) => number,
            _ => continue,
        };
        value(schema, number, &mut entry.value);
    }
}

fn value(schema: &Schema, number: usize, node: &mut Node) {
    let mut wanted = Types::default();
    let mut kinds = Vec::new();
    collect(schema, number, &mut wanted, &mut kinds, 0);
    let is_list = matches!(node.value, Value::List(_));
    let fits = match &node.value {
        Value::Map(_) => wanted.object,
        Value::String(_) => wanted.string || wanted.number || wanted.integer || wanted.boolean,
        Value::Null => wanted.null,
        _ => true,
    };
    if wanted.array && !is_list && !fits {
        fit_list(node);
    }
    match &mut node.value {
        Value::String(_) => fit(
            node,
            Plain {
                string: wanted.string,
                number: wanted.number || wanted.integer,
                boolean: wanted.boolean,
            },
        ),
        Value::List(list) => {
            for (index, item) in list.iter_mut().enumerate() {
                let number = kinds
                    .iter()
                    .find_map(|kind| kind.prefix.get(index).copied().or(kind.items));
                if let Some(number) = number {
                    value(schema, number, item);
                }
            }
        }
        Value::Map(map) => kinds.iter().for_each(|kind| entries(schema, kind, map)),
        _ => {}
    }
}

/// Every type that fits, and every kind that may describe the value.
fn collect<'s>(
    schema: &'s Schema,
    number: usize,
    wanted: &mut Types,
    kinds: &mut Vec<&'s Kind>,
    hops: usize,
) {
    let Some(kind) = schema.kinds.get(number).filter(|_| hops < MOST_HOPS) else {
        return;
    };
    kinds.push(kind);
    if let Some(types) = kind.types {
        wanted.null |= types.null;
        wanted.boolean |= types.boolean;
        wanted.integer |= types.integer;
        wanted.number |= types.number;
        wanted.string |= types.string;
        wanted.array |= types.array;
        wanted.object |= types.object;
    }
    let branches = kind.any_of.iter().flatten();
    for number in kind.all_of.iter().chain(branches) {
        collect(schema, *number, wanted, kinds, hops + 1);
    }
}
