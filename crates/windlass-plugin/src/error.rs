//! Why a call gave no result.

use crate::message::RpcError;

/// Why a call gave no result.
#[derive(Clone, Debug, PartialEq)]
pub enum CallError {
    /// The plugin itself says no.
    Refused(RpcError),
    /// The plugin died, wrote rubbish, was silent too long, broke a limit, or could not be started: one line that
    /// names it.
    Broken(String),
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(error) => f.write_str(&error.message),
            Self::Broken(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for CallError {}
