//! The executor on fake hosts.

mod ahead;
mod stops;
mod support;
mod traces;
