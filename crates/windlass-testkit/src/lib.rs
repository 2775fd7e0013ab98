//! What tests stand on: a fake host whose every answer is scripted, a command to script, and a stage to play
//! tasklists on in virtual time.

pub mod fake;
pub mod play;
//! Test support.

pub mod sshd;
