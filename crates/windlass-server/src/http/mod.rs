//! HTTP: thin; every handler reads a request, calls a use case, and writes what it gave.

mod agent;
mod blobs;
mod body;
mod caller;
mod delivered;
mod endpoints;
mod error;
mod guard;
mod guests;
mod methods;
mod patient;
mod probes;
mod query;
mod rest;
mod room;
mod serve;
mod xmlrpc;

use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::app::{App, AppError};

pub use endpoints::{Access, Endpoint};
pub use methods::Method;
pub use serve::{Bounds, Serving, Tls, serve};
pub use xmlrpc::faults;

/// What handlers share.
#[derive(Clone)]
pub(crate) struct Http {
    app: App,
    tls: bool,
    /// For long requests.
    long: Arc<Semaphore>,
}

/// The address at the other end, as the connection has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remote(SocketAddr);

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    address: Option<SocketAddr>,
    tls: bool,
    /// Whether somebody else speaks for them: a proxy, which may stand on this machine.
    forwarded: bool,
}

/// A part of a path, read.
fn read<T: FromStr<Err = String>>(text: &str) -> Result<T, error::Error> {
    text.parse()
        .map_err(|e| error::Error(AppError::Malformed(e)))
}

impl Peer {
    /// For histories and logs.
    fn address(&self) -> String {
        self.address
            .map_or_else(String::new, |a| a.ip().to_string())
    }

    /// Whether they are on this machine themselves, as far as can be known.
    fn is_here(&self) -> bool {
        self.is_loopback() && !self.forwarded
    }

    fn is_loopback(&self) -> bool {
        self.address
            .is_some_and(|a| a.ip().to_canonical().is_loopback())
    }
}
