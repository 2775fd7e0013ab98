//! What goes over the wire between clients, managers and agents.

pub mod agent;
mod bounded;
pub mod connection;
mod received;
pub mod release_file;
pub mod rest;
pub mod xmlrpc;
