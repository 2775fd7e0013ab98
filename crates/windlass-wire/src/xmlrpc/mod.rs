//! XML-RPC without I/O: values, calls and responses from bytes and to bytes.
//!
//! Understands all that Python's `xmlrpc.client` writes and every type that it reads. Stricter than Python, which takes much
//! that is no XML-RPC: elements must stand where the specification has them, text between them must be white space, a
//! base64 text may hold white space but no other foreign characters, and a date must be one ([`DateTime`]). DOCTYPE is refused,
//! so no entity can be declared. Memory and time are bounded by [`Limits`]; nothing recurses while a message is read.
//!
//! * a server: [`decode_body`] (gzip), [`decode_call`], [`MethodTable`], [`multicall`], [`from_value`], [`encode_response_always`];
//! * a client: [`request`], [`parse_response`].
//!
//! Sources of the rules: the specification of 1999, Python's `xmlrpc/client.py`, Dan Libby's "Specification for Fault Code
//! Interoperability", and XML 1.0.

mod body;
mod client;
mod datetime;
mod de;
mod decode;
mod encode;
mod error;
mod fault;
mod frame;
mod json;
mod limits;
mod methods;
pub mod multicall;
mod number;
mod text;
#[cfg(any(test, feature = "validator1"))]
pub mod validator1;
mod value;

pub use body::{BodyError, decode_body};
pub use client::{parse_response, request};
pub use datetime::{DateTime, NotADateTime};
pub use de::{TypeError, from_value, from_value_at};
pub use decode::{decode_call, decode_response};
pub use encode::{
    Characters, EncodeError, EncodeOptions, Unfit, WideIntegers, encode_call, encode_response,
    encode_response_always,
};
pub use error::{DecodeError, Wrong};
pub use fault::{Fault, code};
pub use json::to_value;
pub use limits::{Limits, MAX_DEPTH};
pub use methods::{Method, MethodTable};
pub use number::{BigInteger, Decimal, NotANumber};
pub use value::{Struct, Value};

/// The media type of calls and responses.
pub const CONTENT_TYPE: &str = "text/xml";

/// What a client asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The method's name, any text.
    pub method: String,
    /// The arguments, in order.
    pub params: Vec<Value>,
}

/// What a server answers: one value, or a fault.
pub type Response = Result<Value, Fault>;
