//! From values to types.

mod access;
#[cfg(test)]
mod tests;
mod words;

use serde::de::{Deserialize, Deserializer, IntoDeserializer, Visitor};

use access::{Elements, Members, Variant};
use words::Error;

use super::fault::{Fault, code};
use super::value::{Struct, Value};

/// Typed data is never this deep; a type that takes anything would recurse.
const DEEPEST: usize = 128;

/// A value that is not of the wanted type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeError {
    /// Where: `request_data.env`, `hosts[2]`; empty for the value itself.
    pub path: String,
    /// What is wanted and what is there.
    pub message: String,
}

impl std::fmt::Display for TypeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

impl std::error::Error for TypeError {}

impl From<TypeError> for Fault {
    fn from(error: TypeError) -> Self {
        Self::new(code::INVALID_PARAMS, error.to_string())
    }
}

/// The value as a type of its own.
///
/// Nil is an absent option. Where a boolean is wanted, the ints 0 and 1 will do: some languages have no booleans. Dates,
/// decimals and integers beyond 64 bits are texts, bytes are bytes or a list of numbers. An enum is its name, or a struct
/// with its name as the one member.
pub fn from_value<'de, T: Deserialize<'de>>(value: &'de Value) -> Result<T, TypeError> {
    from_value_at("", value)
}

/// The same; `path` says in errors what the value is, as in `request_data.env: a string is wanted, got int`.
pub fn from_value_at<'de, T: Deserialize<'de>>(
    path: &str,
    value: &'de Value,
) -> Result<T, TypeError> {
    T::deserialize(De { value, depth: 0 }).map_err(|error| TypeError {
        path: error.path(path),
        message: error.message,
    })
}

#[derive(Clone, Copy)]
struct De<'de> {
    value: &'de Value,
    depth: usize,
}

impl<'de> De<'de> {
    fn within(self, value: &'de Value) -> Self {
        Self {
            value,
            depth: self.depth + 1,
        }
    }

    fn array<V: Visitor<'de>>(self, values: &'de [Value], visitor: V) -> Result<V::Value, Error> {
        if self.depth >= DEEPEST {
            return Err(Error::new(format!("nested deeper than {DEEPEST}")));
        }
        let mut elements = Elements {
            rest: values.iter().enumerate(),
            of: self,
        };
        let value = visitor.visit_seq(&mut elements)?;
        match elements.rest.len() {
            0 => Ok(value),
            left => Err(Error::new(format!(
                "an array of {} is wanted, got {}",
                values.len() - left,
                values.len()
            ))),
        }
    }

    fn members<V: Visitor<'de>>(self, members: &'de Struct, visitor: V) -> Result<V::Value, Error> {
        if self.depth >= DEEPEST {
            return Err(Error::new(format!("nested deeper than {DEEPEST}")));
        }
        visitor.visit_map(Members {
            rest: members.iter(),
            at: None,
            of: self,
        })
    }
}

impl<'de> Deserializer<'de> for De<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Nil => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(number) => visitor.visit_i64(*number),
            Value::BigInteger(number) => match number.as_str().parse() {
                Ok(number) => visitor.visit_u64(number),
                Err(_) => visitor.visit_borrowed_str(number.as_str()),
            },
            Value::Double(number) => visitor.visit_f64(*number),
            Value::Decimal(number) => visitor.visit_borrowed_str(number.as_str()),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::DateTime(date) => visitor.visit_borrowed_str(date.as_str()),
            Value::Bytes(bytes) => visitor.visit_borrowed_bytes(bytes),
            Value::Array(values) => self.array(values, visitor),
            Value::Struct(members) => self.members(members, visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Int(0) => visitor.visit_bool(false),
            Value::Int(1) => visitor.visit_bool(true),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Bytes(bytes) => {
                let numbers = bytes.iter().copied();
                visitor.visit_seq(serde::de::value::SeqDeserializer::new(numbers))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Nil => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.value {
            Value::Text(name) => visitor.visit_enum(name.as_str().into_deserializer()),
            Value::Struct(members) => match members.iter().as_slice() {
                [(name, value)] if self.depth < DEEPEST => visitor.visit_enum(Variant {
                    name,
                    value: self.within(value),
                }),
                _ => Err(Error::new("a struct of one member is wanted")),
            },
            other => Err(Error::new(format!(
                "a known word is wanted, got {}",
                other.kind()
            ))),
        }
    }

    /// Nothing looks into what is ignored, however deep it is.
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple
        tuple_struct map struct identifier
    }
}
