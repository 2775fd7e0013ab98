//! The commands about services, checks, load balancers and notices, against the real things on this machine: runit,
//! daemontools, HAProxy, small servers; `systemctl` is a stand-in.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot be set up is to end"
)]

mod background;
mod deploy;
mod drive;
mod haproxy;
mod notices;
mod shell;
mod supervisors;
mod systemd;
