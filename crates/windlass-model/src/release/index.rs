//! What a build gives.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::ids::{Digest, Project, ReleaseId, TargetName, Version};
use super::work::resource_name;

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
    /// Its file name; see [`resource_name`](super::work::resource_name). Another is not read: it becomes a path on installers.
    #[serde(deserialize_with = "harmless")]
    pub name: String,
    /// Of its bytes.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
}

fn harmless<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    resource_name(&name).map_err(D::Error::custom)?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_not_read() {
        let read = |name: &str| {
            let digest = "0".repeat(64);
            let item = serde_json::json!({"name": name, "digest": digest, "size": 1});
            serde_json::from_value::<Item>(item).map_err(|e| e.to_string())
        };
        assert!(read("shop_1.4.0.tar.gz").is_ok());
        for name in ["../x", "/x", "..", "", "a/b", "x\0y", "$(id)"] {
            let said = read(name).unwrap_err();
            assert!(said.contains("is no name for a resource"), "{said}");
        }
    }
}
