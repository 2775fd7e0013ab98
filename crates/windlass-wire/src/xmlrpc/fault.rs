//! Faults and their codes.

/// Codes of faults, from the "Specification for Fault Code Interoperability" (2001).
pub mod code {
    /// The text is no well-formed XML.
    pub const NOT_WELL_FORMED: i64 = -32700;
    /// The declared encoding is not known here, or not the one that is used.
    pub const UNSUPPORTED_ENCODING: i64 = -32701;
    /// A byte or character that the encoding, or XML, does not have.
    pub const INVALID_CHARACTER: i64 = -32702;
    /// Well-formed, but no XML-RPC.
    pub const INVALID_XML_RPC: i64 = -32600;
    /// No such method.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// The arguments are wrong in number or type.
    pub const INVALID_PARAMS: i64 = -32602;
    /// The server itself failed.
    pub const INTERNAL: i64 = -32603;
    /// What was asked for cannot be done.
    pub const APPLICATION: i64 = -32500;
    /// A limit of the server: the message is too large, too deep, or holds too many values.
    pub const SYSTEM: i64 = -32400;
    /// The way here is at fault: an unknown content encoding, bad gzip.
    pub const TRANSPORT: i64 = -32300;
}

/// The answer that says no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What kind of failure; [`code`] has the common ones.
    pub code: i64,
    /// For people: what, where, what to do.
    pub text: String,
}

impl Fault {
    /// A fault.
    pub fn new(code: i64, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (fault {})", self.text, self.code)
    }
}

impl std::error::Error for Fault {}
