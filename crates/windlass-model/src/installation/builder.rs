//! `build_host_*`: the service that builds. `release_builder_*`: how one project is built.

use super::agent::{Agent, agent};
use super::keys::{self, Keys};
use super::{Code, Document, Read, Settings, Vcs, VersionFrom, code, vcs};
use crate::release::Project;
use crate::tree::Map;

/// The builder.
#[derive(Clone, Debug)]
pub struct BuildHost {
    /// Name, managers, slots.
    pub agent: Agent,
    /// Where archives are left that are to be sent, relative to the installation: `archive`.
    pub archive_path: String,
    /// Of every build that sets no others.
    pub limits: Limits,
    /// Keys that are none of ours.
    pub rest: Map,
}

/// What a build may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Seconds: 3600.
    pub time: u32,
    /// Bytes of its log: 64 MiB.
    pub output: u64,
    /// Bytes of its directory: 10 GiB.
    pub disk: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: 3600,
            output: 64 << 20,
            disk: 10 << 30,
        }
    }
}

/// How a project is built.
#[derive(Clone, Debug)]
pub struct ReleaseBuilder {
    /// Which project.
    pub project: Project,
    /// The behaviour.
    pub code: Code,
    /// Where its source is; none: it needs none.
    pub vcs: Option<Vcs>,
    /// How a build gets its version.
    pub version: VersionFrom,
    /// Where the build sets its own limits.
    pub limits: OwnLimits,
    /// The behaviour's config.
    pub settings: Settings,
}

/// Limits of one project, where it sets any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnLimits {
    /// Seconds.
    pub time: Option<u32>,
    /// Bytes of its log.
    pub output: Option<u64>,
    /// Bytes of its directory.
    pub disk: Option<u64>,
}

impl OwnLimits {
    /// These, and `host`'s for what is not set.
    pub fn over(self, host: Limits) -> Limits {
        Limits {
            time: self.time.unwrap_or(host.time),
            output: self.output.unwrap_or(host.output),
            disk: self.disk.unwrap_or(host.disk),
        }
    }

    fn read(keys: &mut Keys<'_>) -> Self {
        keys.below("limits", |keys| Self {
            time: keys
                .whole("time", 1..=604_800)
                .and_then(|seconds| u32::try_from(seconds).ok()),
            output: keys.whole("output", 1024..=1 << 50),
            disk: keys.whole("disk", 1024..=1 << 60),
        })
        .unwrap_or_default()
    }
}

impl BuildHost {
    /// Reads `build_host_FILE`.
    pub fn read(document: &Document, file: &str) -> Read<Self> {
        keys::read(document, |keys| {
            let agent = agent(keys, file);
            let archive_path = keys.text("archive_path");
            Some(Self {
                agent,
                archive_path: archive_path.unwrap_or_else(|| "archive".into()),
                limits: OwnLimits::read(keys).over(Limits::default()),
                rest: keys.rest(),
            })
        })
    }
}

impl ReleaseBuilder {
    /// Reads `release_builder_FILE`, where FILE is the name of the project.
    pub fn read(document: &Document, file: &str) -> Read<Self> {
        keys::read(document, |keys| {
            let project = code::name(keys, file);
            let code = code::code(keys, "windlass.build");
            let vcs = vcs::vcs(keys);
            let version = vcs::version(keys);
            let limits = OwnLimits::read(keys);
            let settings = Settings::new(document, keys.rest());
            Some(Self {
                project: project?,
                code: code?,
                vcs,
                version,
                limits,
                settings,
            })
        })
    }
}
