//! What is within arrays, structs and enums.

use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use super::De;
use super::words::Error;
use crate::xmlrpc::value::Value;

pub(super) struct Elements<'de> {
    pub(super) rest: std::iter::Enumerate<std::slice::Iter<'de, Value>>,
    pub(super) of: De<'de>,
}

impl<'de> SeqAccess<'de> for &mut Elements<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some((n, value)) = self.rest.next() else {
            return Ok(None);
        };
        seed.deserialize(self.of.within(value))
            .map(Some)
            .map_err(|error| error.within(format!("[{n}]")))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

pub(super) struct Members<'de> {
    pub(super) rest: std::slice::Iter<'de, (String, Value)>,
    pub(super) at: Option<&'de (String, Value)>,
    pub(super) of: De<'de>,
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        self.at = self.rest.next();
        let Some((name, _)) = self.at else {
            return Ok(None);
        };
        seed.deserialize(BorrowedStrDeserializer::new(name))
            .map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        let Some((name, value)) = self.at.take() else {
            return Err(Error::new("a value was asked for before its name"));
        };
        seed.deserialize(self.of.within(value))
            .map_err(|error| error.within(format!(".{name}")))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

pub(super) struct Variant<'de> {
    pub(super) name: &'de str,
    pub(super) value: De<'de>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let name: StrDeserializer<'de, Error> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.value.value {
            Value::Nil => Ok(()),
            other => Err(Error::new(format!("nil is wanted, got {}", other.kind()))
                .within(format!(".{}", self.name))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.value)
            .map_err(|error| error.within(format!(".{}", self.name)))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Error> {
        self.value
            .deserialize_any(visitor)
            .map_err(|error| error.within(format!(".{}", self.name)))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.value
            .deserialize_any(visitor)
            .map_err(|error| error.within(format!(".{}", self.name)))
    }
}
