//! HTTP: thin; every handler reads a request, calls a use case, and writes what it gave.

mod agent;
mod body;
mod delivered;
mod endpoints;
mod error;
mod guard;
mod probes;
mod rest;
mod serve;
mod xmlrpc;

use std::net::SocketAddr;

use crate::app::App;

pub use endpoints::{Access, Endpoint};
pub use serve::{Serving, Tls, serve};
pub use xmlrpc::faults;

/// What handlers share.
#[derive(Clone)]
pub(crate) struct Http {
    app: App,
    tls: bool,
}

/// The address at the other end, as the connection has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remote(SocketAddr);

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    address: Option<SocketAddr>,
    tls: bool,
}

impl Peer {
    /// For histories and logs.
    fn address(&self) -> String {
        self.address
            .map_or_else(String::new, |a| a.ip().to_string())
    }

    fn is_loopback(&self) -> bool {
        self.address
            .is_some_and(|a| a.ip().to_canonical().is_loopback())
    }
}
