//! The plugin protocol, and the worker processes that speak it.
//!
//! A plugin is a program in any language that speaks JSON-RPC 2.0 on its stdin and stdout, one message a line.
//! A [`Worker`] starts it when it is first needed, sends it calls (several at once), hands what it asks back to
//! the [`Callbacks`] of the call that it asks for, and sees to it that its process group ends. What the
//! methods mean is not known here, but for `describe` and `log`.

pub mod callbacks;
pub mod describe;
pub mod error;
pub mod message;
pub mod spec;
pub mod worker;

mod group;
mod lines;
mod open;
mod process;
mod serve;

pub use callbacks::{Callbacks, Log, LogLine, NoCallbacks};
pub use describe::Description;
pub use error::CallError;
pub use message::{Params, RpcError};
pub use spec::{Limits, PluginSpec, clean_environment};
pub use worker::Worker;
