//! Pure data of Windlass: no I/O, no async, no printing.
//!
//! Everything that crosses from one part to another is a value that is defined here: what a person wrote
//! ([`tree`], [`config`], [`tasklist`]), what is done to a host ([`step`]), what came of it ([`outcome`]),
//! what is told about it ([`event`]), and what is wrong with an input ([`diagnostic`]).

pub mod config;
pub mod diagnostic;
pub mod event;
pub mod ids;
pub mod outcome;
pub mod package;
pub mod receipt;
pub mod release;
pub mod secret;
pub mod shape;
pub mod step;
pub mod tasklist;
pub mod text;
pub mod tree;

pub use diagnostic::{Diagnostic, Diagnostics, Source, Span};
pub use ids::{HostName, RunId, TaskId};
pub use outcome::{Failure, FailureKind, Outcome};
pub use secret::{SecretRef, SecretValue};
pub use step::{Reply, Step};
pub use tasklist::Tasklist;
pub use text::Text;
