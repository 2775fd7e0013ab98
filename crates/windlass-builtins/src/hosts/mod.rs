//! Where steps are done: local, and over SSH.

pub mod ssh;
