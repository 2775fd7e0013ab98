//! The executor on fake hosts.

mod ahead;
mod law;
mod scenarios;
mod stops;
mod support;
mod traces;
