//! Packages: files to deploy.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One file to deploy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// The service that it belongs to: the longest known service name before `_` or `-`.
    pub service: String,
    /// What stands between the service and the archive's ending.
    pub version: String,
    /// The last part of the path.
    pub filename: String,
    /// Where it is here; absolute.
    pub path: PathBuf,
    /// Lower-case hex.
    pub sha256: String,
}

/// The endings that an archive may have.
pub const ARCHIVE_ENDINGS: [&str; 9] = [
    ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tar", ".zip",
];

/// Splits a file name into service and version by the services that are known. `None` when no known service
/// fits, or nothing is left for a version.
pub fn split_filename<'a>(
    filename: &'a str,
    services: impl IntoIterator<Item = &'a str>,
) -> Option<(&'a str, &'a str)> {
    let stem = ARCHIVE_ENDINGS
        .iter()
        .find_map(|ending| filename.strip_suffix(ending))
        .unwrap_or(filename);
    services
        .into_iter()
        .filter_map(|service| {
            let rest = stem.strip_prefix(service)?;
            let version = rest.strip_prefix(['_', '-'])?;
            (!version.is_empty()).then_some((service, version))
        })
        .max_by_key(|(service, _)| service.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_service_wins() {
        let known = ["shop", "shop-admin", "shop_x"];
        assert_eq!(
            split_filename("shop-admin_1.2.tar.gz", known),
            Some(("shop-admin", "1.2"))
        );
        assert_eq!(
            split_filename("shop_1.4.0.tar.gz", known),
            Some(("shop", "1.4.0"))
        );
        assert_eq!(split_filename("shop-2.tgz", known), Some(("shop", "2")));
        assert_eq!(split_filename("shop_x-3.zip", known), Some(("shop_x", "3")));
        assert_eq!(split_filename("other_1.tar", known), None);
        assert_eq!(split_filename("shop_.tar", known), None);
    }
}
