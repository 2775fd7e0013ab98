//! The calls that write, make durable, rename and send, each made to fail, one at a time.

mod deploy;
mod trace;
mod transaction;
