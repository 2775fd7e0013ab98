//! What tests stand on: a fake host whose every answer is scripted, a command to script, a stage to play tasklists on in
//! virtual time, and a real sshd to throw away.

pub mod fake;
pub mod play;
pub mod sshd;
