//! What a build gives.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ids::{Digest, Project, ReleaseId, TargetName, Version};

/// The format that is written.
pub const FORMAT: u32 = 1;

/// A release's table of contents: `index.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// [`FORMAT`].
    pub format: u32,
    /// What was built.
    pub project: Project,
    /// Its version.
    pub version: Version,
    /// The source's revision, as its version control names it: a commit, `17`. None where the source has none.
    pub revision: Option<String>,
    /// Named target -> the resource that is installed there.
    pub targets: BTreeMap<TargetName, Item>,
}

impl Index {
    /// The release that it is the index of.
    pub fn release(&self) -> ReleaseId {
        ReleaseId::new(self.project.clone(), self.version.clone())
    }
}

/// A resource: one file, kept as a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its file name, without folders.
    pub name: String,
    /// Of its bytes.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
}
