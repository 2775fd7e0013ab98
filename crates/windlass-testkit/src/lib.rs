//! What tests stand on: a fake host whose every answer is scripted, a command to script, a stage to play tasklists on in
//! virtual time, and real servers to throw away: sshd, PostgreSQL, MariaDB.

pub mod databases;
pub mod fake;
pub mod play;
pub mod sshd;
