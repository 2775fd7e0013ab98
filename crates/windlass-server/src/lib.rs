//! The manager: routes requests to builders and installers, and keeps what came of them.
//!
//! [`app`] has the use cases, over a store; [`http`] offers them as XML-RPC, as JSON and to agents; [`auth`] says who may do
//! what. Nothing here runs a command.

pub mod app;
pub mod auth;
pub mod http;
pub mod settings;
