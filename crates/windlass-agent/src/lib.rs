//! What builders and installers do on their machine. Every job is a tasklist, run by the engine's executor.
//!
//! [`work::build()`] checks a source out and makes a release of it; [`work::install()`] puts a resource where it belongs;
//! [`fence::Fence`] sees to it that an older install never follows a newer one, and remembers what was begun; [`guard::Guard`] asks it
//! before each install and tells it afterwards.

pub mod fence;
pub mod groups;
pub mod guard;
pub mod scratch;
pub mod service;
pub mod work;
