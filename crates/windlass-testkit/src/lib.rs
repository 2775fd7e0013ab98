//! What tests stand on: a fake host whose every answer is scripted, a command to script, a stage to play tasklists on in
//! virtual time, real servers to throw away (sshd, PostgreSQL, MariaDB), and what the tests that break things share.

pub mod archives;
pub mod chaos;
pub mod databases;
pub mod fake;
pub mod play;
pub mod proxy;
pub mod sshd;
