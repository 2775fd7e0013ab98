//! What goes over the wire between clients, managers and agents.

pub mod agent;
pub mod connection;
mod received;
pub mod rest;
pub mod xmlrpc;
