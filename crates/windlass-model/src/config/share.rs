//! A number, or a part of a whole.

use std::fmt;

use crate::tree::{Node, Value};

/// A number of hosts, or a percentage of those that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Share {
    /// So many.
    Count(u32),
    /// 0 to 100 of a hundred.
    Percent(u8),
}

impl Share {
    /// From a whole number or a string as in `25%`; `None` for anything else.
    pub fn read(node: &Node) -> Option<Self> {
        match &node.value {
            Value::Int(int) => u32::try_from(*int).ok().map(Self::Count),
            Value::String(text) => {
                let number = text.strip_suffix('%')?.trim_end();
                let percent: u8 = number.parse().ok()?;
                (percent <= 100).then_some(Self::Percent(percent))
            }
            _ => None,
        }
    }

    /// How many of `total` that is, rounded down. A count is itself, however many there are.
    pub fn of(self, total: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => {
                let share = u64::from(total) * u64::from(percent) / 100;
                u32::try_from(share).unwrap_or(u32::MAX)
            }
        }
    }

    /// The same, rounded up: at least so many.
    pub fn at_least_of(self, total: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => {
                let share = (u64::from(total) * u64::from(percent)).div_ceil(100);
                u32::try_from(share).unwrap_or(u32::MAX)
            }
        }
    }

    /// The same as a limit on what runs at once: at least 1.
    pub fn limit_of(self, total: u32) -> u32 {
        self.of(total).max(1)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}
