//! Values that stand in statements. Times, counts and flags are integers, everything else is text.

use windlass_model::release::{
    AgentName, Digest, Environment, JobId, Project, ReleaseId, TargetName, TransactionId, Version,
};

/// A value of a statement; a missing one keeps its type, which PostgreSQL asks for.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
}

/// The values of a statement, in the order of its `?`.
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$($crate::sql::Value::from($value)),*] };
}
pub(crate) use values;

macro_rules! ints {
    ($($type:ty),*) => { $(
        impl From<$type> for Value {
            fn from(number: $type) -> Self {
                Self::Int(Some(i64::try_from(number).unwrap_or(i64::MAX)))
            }
        }
    )* };
}
ints!(i64, u32, u64, usize);

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Int(Some(i64::from(flag)))
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::Int(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(Some(text.clone()))
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(str::to_owned))
    }
}

impl From<&Option<String>> for Value {
    fn from(text: &Option<String>) -> Self {
        Self::Text(text.clone())
    }
}

macro_rules! names {
    ($($type:ty),*) => { $(
        impl From<&$type> for Value {
            fn from(name: &$type) -> Self {
                Self::Text(Some(name.to_string()))
            }
        }

        impl From<&Option<$type>> for Value {
            fn from(name: &Option<$type>) -> Self {
                Self::Text(name.as_ref().map(ToString::to_string))
            }
        }
    )* };
}
names!(
    AgentName,
    Digest,
    Environment,
    JobId,
    Project,
    ReleaseId,
    TargetName,
    TransactionId,
    Version
);

/// Conditions that are put together.
#[derive(Default)]
pub(crate) struct Where {
    conditions: Vec<String>,
    pub(crate) values: Vec<Value>,
}

impl Where {
    /// A condition without values.
    pub(crate) fn also(&mut self, condition: impl Into<String>) {
        self.conditions.push(condition.into());
    }

    /// A condition of one value, when there is one.
    pub(crate) fn when<T>(&mut self, condition: &str, value: Option<T>)
    where
        Value: From<T>,
    {
        if let Some(value) = value {
            self.also(condition);
            self.values.push(Value::from(value));
        }
    }

    /// ` WHERE ...`, or nothing.
    pub(crate) fn sql(&self) -> String {
        if self.conditions.is_empty() {
            return String::new();
        }
        format!(" WHERE {}", self.conditions.join(" AND "))
    }
}
