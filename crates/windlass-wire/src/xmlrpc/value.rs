//! Values of XML-RPC.

use std::collections::HashMap;

use super::datetime::DateTime;
use super::number::{BigInteger, Decimal};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `nil`, also `ex:nil`.
    Nil,
    /// `boolean`.
    Bool(bool),
    /// `int`, `i1`, `i2`, `i4`, `i8`, `biginteger`: whatever fits, as Python does. Which tag it came with is not kept.
    Int(i64),
    /// The same, beyond 64 bits.
    BigInteger(BigInteger),
    /// `double`, `float`.
    Double(f64),
    /// `bigdecimal`.
    Decimal(Decimal),
    /// `string`, or a value without a type.
    Text(String),
    /// `dateTime.iso8601`.
    DateTime(DateTime),
    /// `base64`.
    Bytes(Vec<u8>),
    /// `array`.
    Array(Vec<Value>),
    /// `struct`.
    Struct(Struct),
}

impl Value {
    /// The type's name in XML-RPC.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "boolean",
            Self::Int(_) => "int",
            Self::BigInteger(_) => "biginteger",
            Self::Double(_) => "double",
            Self::Decimal(_) => "bigdecimal",
            Self::Text(_) => "string",
            Self::DateTime(_) => "dateTime.iso8601",
            Self::Bytes(_) => "base64",
            Self::Array(_) => "array",
            Self::Struct(_) => "struct",
        }
    }

    /// The text of a string, and of nothing else.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// An integer of up to 64 bits.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// The elements of an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Self::Array(values) => Some(values),
            _ => None,
        }
    }

    /// A struct.
    pub fn as_struct(&self) -> Option<&Struct> {
        match self {
            Self::Struct(members) => Some(members),
            _ => None,
        }
    }

    /// The member of that name, of a struct.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.as_struct()?.get(name)
    }
}

/// Named values in their order. A name stands once; it may be empty.
///
/// Two structs are equal when they hold the same, in whatever order.
#[derive(Clone, Debug, Default)]
pub struct Struct(Vec<(String, Value)>);

impl Struct {
    /// The value of that name. Takes time linear in the number of members.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }

    /// Sets a member; one of that name keeps its place and loses its value. Takes linear time: collect large structs.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|(n, _)| *n == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// The members in their order.
    pub fn iter(&self) -> std::slice::Iter<'_, (String, Value)> {
        self.0.iter()
    }

    /// The number of members.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Of members with the same name the last one's value wins, at the first one's place, as in Python.
impl FromIterator<(String, Value)> for Struct {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(members: I) -> Self {
        let members: Vec<_> = members.into_iter().collect();
        let mut places: HashMap<&str, usize> = HashMap::with_capacity(members.len());
        let mut homes = Vec::with_capacity(members.len());
        for (name, _) in &members {
            let next = places.len();
            homes.push(*places.entry(name).or_insert(next));
        }
        if places.len() == members.len() {
            return Self(members);
        }
        let mut kept: Vec<(String, Value)> = Vec::with_capacity(places.len());
        for ((name, value), home) in members.into_iter().zip(homes) {
            match kept.get_mut(home) {
                Some((_, old)) => *old = value,
                None => kept.push((name, value)),
            }
        }
        Self(kept)
    }
}

impl IntoIterator for Struct {
    type Item = (String, Value);
    type IntoIter = std::vec::IntoIter<(String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Struct {
    type Item = &'a (String, Value);
    type IntoIter = std::slice::Iter<'a, (String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl PartialEq for Struct {
    fn eq(&self, other: &Self) -> bool {
        if self.len() != other.len() {
            return false;
        }
        if self.iter().zip(other).all(|((a, _), (b, _))| a == b) {
            return self.iter().zip(other).all(|((_, a), (_, b))| a == b);
        }
        let members: HashMap<&str, &Value> = other.iter().map(|(n, v)| (n.as_str(), v)).collect();
        self.iter()
            .all(|(name, value)| members.get(name.as_str()) == Some(&value))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<i128> for Value {
    fn from(value: i128) -> Self {
        match i64::try_from(value) {
            Ok(value) => Self::Int(value),
            Err(_) => Self::BigInteger(BigInteger::beyond(value)),
        }
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        i128::from(value).into()
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Double(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<DateTime> for Value {
    fn from(value: DateTime) -> Self {
        Self::DateTime(value)
    }
}

impl From<Struct> for Value {
    fn from(value: Struct) -> Self {
        Self::Struct(value)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Self {
        Self::Array(values.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nil, Into::into)
    }
}

impl<const N: usize> From<[(&str, Value); N]> for Value {
    fn from(members: [(&str, Value); N]) -> Self {
        let members = members.into_iter().map(|(n, v)| (n.to_owned(), v));
        Self::Struct(members.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(members: &[(&str, i32)]) -> Struct {
        let members = members.iter().map(|(n, v)| ((*n).to_owned(), (*v).into()));
        members.collect()
    }

    #[test]
    fn the_last_of_a_name_wins_at_the_first_ones_place() {
        let twice = of(&[("a", 1), ("b", 2), ("a", 3), ("", 4), ("b", 5)]);
        let names: Vec<_> = twice.iter().map(|(n, _)| n.as_str()).collect();
        assert_eq!(names, ["a", "b", ""]);
        assert_eq!(twice, of(&[("a", 3), ("b", 5), ("", 4)]));
    }

    #[test]
    fn order_does_not_count_but_content_does() {
        assert_eq!(of(&[("a", 1), ("b", 2)]), of(&[("b", 2), ("a", 1)]));
        assert_ne!(of(&[("a", 1), ("b", 2)]), of(&[("b", 1), ("a", 2)]));
        assert_ne!(of(&[("a", 1)]), of(&[("a", 1), ("b", 2)]));
        assert_ne!(of(&[("a", 1), ("c", 2)]), of(&[("a", 1), ("b", 2)]));
    }

    #[test]
    fn inserting_replaces_in_place() {
        let mut members = of(&[("a", 1), ("b", 2)]);
        members.insert("a", "x");
        members.insert("c", true);
        assert_eq!(members.len(), 3);
        assert_eq!(members.iter().next().unwrap().1, "x".into());
    }

    #[test]
    fn wide_numbers_become_big() {
        assert_eq!(Value::from(u64::from(u32::MAX)), Value::Int(0xffff_ffff));
        let Value::BigInteger(big) = Value::from(u64::MAX) else {
            panic!()
        };
        assert_eq!(big.as_str(), "18446744073709551615");
    }
}
