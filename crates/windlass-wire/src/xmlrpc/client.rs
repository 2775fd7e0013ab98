//! A client's side, without the connection.

use super::decode::decode_response;
use super::encode::{EncodeError, EncodeOptions, encode_call};
use super::error::DecodeError;
use super::limits::Limits;
use super::value::Value;
use super::{Call, Response};

/// The body of a POST that calls `method`.
pub fn request(method: &str, params: Vec<Value>) -> Result<Vec<u8>, EncodeError> {
    let call = Call {
        method: method.to_owned(),
        params,
    };
    encode_call(&call, &EncodeOptions::default())
}

/// What the body of the answer says. An answer may be as long as the limits say; the default ones are those of a server.
pub fn parse_response(bytes: &[u8], limits: &Limits) -> Result<Response, DecodeError> {
    decode_response(bytes, limits)
}
