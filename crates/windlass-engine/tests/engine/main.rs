//! The executor on fake hosts.

mod ahead;
mod law;
mod stops;
mod support;
mod traces;
