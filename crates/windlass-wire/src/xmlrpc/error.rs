//! Why bytes are no XML-RPC message.

use super::fault::{Fault, code};

/// Why bytes are no XML-RPC message, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// What is wrong.
    pub wrong: Wrong,
    /// Line and column, from 1, where known. Columns count characters.
    pub at: Option<(usize, usize)>,
}

/// What is wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// No well-formed XML.
    Malformed(String),
    /// An encoding that is not known, or not the one that is used.
    Encoding(String),
    /// A byte that the encoding does not have, or a character that XML does not have.
    Character(String),
    /// Well-formed, but no XML-RPC.
    Invalid(String),
    /// More bytes than the limit given here.
    TooLarge(usize),
    /// Deeper nested than the limit given here.
    TooDeep(usize),
    /// More values than the limit given here.
    TooMany(usize),
}

impl DecodeError {
    /// The code of the fault that answers it.
    pub fn code(&self) -> i64 {
        match self.wrong {
            Wrong::Malformed(_) => code::NOT_WELL_FORMED,
            Wrong::Encoding(_) => code::UNSUPPORTED_ENCODING,
            Wrong::Character(_) => code::INVALID_CHARACTER,
            Wrong::Invalid(_) => code::INVALID_XML_RPC,
            Wrong::TooLarge(_) | Wrong::TooDeep(_) | Wrong::TooMany(_) => code::SYSTEM,
        }
    }

    pub(super) fn new(wrong: Wrong) -> Self {
        Self { wrong, at: None }
    }

    /// With the place of the byte `at` of `text`.
    pub(super) fn at(mut self, text: &str, at: usize) -> Self {
        let before = text.get(..at.min(text.len())).unwrap_or(text);
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        self.at = Some((line, column));
        self
    }
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed(why) => write!(f, "not well-formed XML: {why}"),
            Self::Encoding(why) | Self::Character(why) => f.write_str(why),
            Self::Invalid(why) => write!(f, "not XML-RPC: {why}"),
            Self::TooLarge(limit) => write!(
                f,
                "the message is larger than {limit} bytes, the limit here"
            ),
            Self::TooDeep(limit) => {
                write!(f, "values are nested deeper than {limit}, the limit here")
            }
            Self::TooMany(limit) => write!(
                f,
                "the message holds more than {limit} values, the limit here"
            ),
        }
    }
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.at {
            Some((line, column)) => write!(f, "line {line}, column {column}: {}", self.wrong),
            None => self.wrong.fmt(f),
        }
    }
}

impl std::error::Error for DecodeError {}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
