//! What build and install behaviours are told: the work at hand, handed over in their config.
//!
//! A behaviour is a generator. Its config is what its file says, with [`BuildFacts`] under [`BUILD_KEY`] or [`InstallFacts`]
//! under [`INSTALL_KEY`], whatever the file says there.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ids::{Digest, Environment, JobId, Project, TargetName, TransactionId, Version};
use super::job::Epoch;

/// The key of [`BuildFacts`].
pub const BUILD_KEY: &str = "build_job";
/// The key of [`InstallFacts`].
pub const INSTALL_KEY: &str = "install_job";

/// The build at hand. Paths are absolute; the source is checked out by the time the behaviour's first stage runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BuildFacts {
    /// Whose.
    pub transaction: TransactionId,
    /// The build's own id.
    pub job: JobId,
    /// Its lease: another one each time that the job is done, and higher.
    pub epoch: Epoch,
    /// What is built.
    pub project: Project,
    /// The targets that want a resource each.
    pub targets: Vec<TargetName>,
    /// The client's request data, unchanged.
    pub request: Map<String, Value>,
    /// The directory with the source.
    pub source: PathBuf,
    /// The directory that gets the resources: one file in `<resources>/<target>/` each. It exists.
    pub resources: PathBuf,
    /// The file with the source's revision; empty where it has none.
    pub revision_file: PathBuf,
    /// The file with the version. A build may write another one into it.
    pub version_file: PathBuf,
}

/// What is wanted of an install behaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// To install the resource.
    Install,
    /// To tell the version that is installed, as the output of a task for each host; empty where none is known.
    GetVersion,
    /// To forget the version, so that the next install is done whatever was there; then as [`Ask::GetVersion`].
    ResetVersion,
}

/// The install at hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstallFacts {
    /// What is wanted.
    pub ask: Ask,
    /// Where to.
    pub environment: Environment,
    /// Which of its targets.
    pub target: TargetName,
    /// The target's path, absolute; a slash at its end says that it is a directory to put things into.
    pub install_path: Option<String>,
    /// What is installed; absent where only the version is asked for.
    pub resource: Option<ResourceFacts>,
}

/// The resource at hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResourceFacts {
    /// Whose.
    pub transaction: TransactionId,
    /// The install's own id: of this target by this installer.
    pub job: JobId,
    /// Its lease: another one each time that the job is done, and higher.
    pub epoch: Epoch,
    /// The release's project.
    pub project: Project,
    /// The release's version.
    pub version: Version,
    /// What was installed there before and was good, if anything was.
    pub previous: Option<Version>,
    /// The resource, absolute; its last part is `name`.
    pub path: PathBuf,
    /// Its file name; see [`resource_name`].
    pub name: String,
    /// Of its bytes.
    pub digest: Digest,
    /// The client's request data, unchanged.
    pub request: Map<String, Value>,
}

/// Longest name of a resource, in bytes.
const LONGEST: usize = 200;

/// Whether a resource may be called so: letters, digits and `. _ + ~ - @ = , % :`, not beginning with `-`, not `.` or `..`.
/// Such a name is safe in a path, in a line of sh and on any disk. The error says so.
pub fn resource_name(name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._+~-@=,%:".contains(c);
    let fits = !name.is_empty()
        && name.len() <= LONGEST
        && name.chars().all(allowed)
        && !name.starts_with('-')
        && !matches!(name, "." | "..");
    match fits {
        true => Ok(()),
        false => Err(format!(
            "{name:?} is no name for a resource: letters, digits and . _ + ~ - @ = , % :, at most {LONGEST}, not beginning \
             with -"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_have_harmless_names() {
        for right in ["shop.war", ".htaccess", "shop_1.0+r1@x.tar.gz", "..."] {
            assert_eq!(resource_name(right), Ok(()), "{right}");
        }
        let long = "x".repeat(LONGEST + 1);
        for wrong in [
            "", ".", "..", "a/b", "-x", "a b", "$(id)", "a\n", "ü", &long,
        ] {
            assert!(resource_name(wrong).is_err(), "{wrong:?}");
        }
    }
}
