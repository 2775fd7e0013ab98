//! Test support.

pub mod sshd;
