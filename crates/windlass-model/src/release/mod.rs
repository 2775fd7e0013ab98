//! The release system's pure data: what is built and installed, requests for it, and what comes of them.
//!
//! A request becomes a [`transaction`]; a transaction has [`job`]s, one for a build and one for each installer of each
//! named target; a build's outcome is a release, whose [`index`] names a blob for each target. What may happen to them
//! is said by [`machine`]: pure functions over a [`whole`], which a store reads and writes at once.

pub mod advertisement;
pub mod ids;
pub mod index;
pub mod job;
pub mod machine;
pub mod request;
pub mod rollback;
pub mod rollout;
pub mod transaction;
pub mod whole;
pub mod work;

pub use advertisement::Advertisement;
pub use ids::{
    AgentName, Digest, Environment, JobId, Project, ReleaseId, TargetName, TransactionId, Version,
};
pub use index::{Index, Item};
pub use job::{BuildSpec, Epoch, InstallSpec, JobSpec, JobState};
pub use request::{Request, Selector, Wanted};
pub use rollout::Rollout;
pub use transaction::{End, Phase, Status};
pub use whole::{Actor, AgentKind, Effect, InstalledRow, Job, Micros, Transaction, Whole};
pub use work::{Ask, BuildFacts, InstallFacts, ResourceFacts};
