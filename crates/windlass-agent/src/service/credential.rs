//! What an agent keeps of a manager: the credential by which that knows it.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use windlass_model::release::{AgentKind, AgentName};
use windlass_wire::agent::credential;

/// Makes a folder that only its owner may look into.
pub(super) fn private_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

/// Where the credential for a manager is kept.
fn path(directory: &Path, url: &str) -> PathBuf {
    let digest = Sha256::digest(url.as_bytes());
    let name: String = digest.iter().take(8).map(|b| format!("{b:02x}")).collect();
    directory.join("managers").join(name)
}

/// The credential for a manager: the one that is kept, or a new one, which is kept from now on.
pub(super) fn keep(
    directory: &Path,
    url: &str,
    kind: AgentKind,
    name: &AgentName,
) -> io::Result<String> {
    if let Some(kept) = load(directory, url)? {
        return Ok(kept);
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)
        .map_err(|e| io::Error::other(format!("no random numbers: {e}")))?;
    let new = credential(kind, name, &secret);
    store(directory, url, &new)?;
    Ok(new)
}

/// The credential for a manager; none: there is none yet.
fn load(directory: &Path, url: &str) -> io::Result<Option<String>> {
    match fs::read_to_string(path(directory, url)) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Keeps a credential, whole or not at all.
pub(super) fn store(directory: &Path, url: &str, credential: &str) -> io::Result<()> {
    let path = path(directory, url);
    let fresh = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&fresh)?;
    file.write_all(credential.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, &path)?;
    fs::File::open(directory.join("managers"))?.sync_all()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_new_credential_is_kept_before_anybody_hears_it() {
        let place = tempfile::tempdir().unwrap();
        private_folder(&place.path().join("managers")).unwrap();
        let name = "b1".parse().unwrap();
        let keep = || keep(place.path(), "http://a", AgentKind::Builder, &name).unwrap();
        let new = keep();
        assert_eq!(keep(), new);
        let owner = windlass_wire::agent::owner(&new);
        assert_eq!(owner, Some((AgentKind::Builder, name.clone())));
    }

    #[test]
    fn a_credential_is_kept_for_each_manager_and_for_its_owner_alone() {
        let place = tempfile::tempdir().unwrap();
        private_folder(&place.path().join("managers")).unwrap();
        assert_eq!(load(place.path(), "http://a").unwrap(), None);
        store(place.path(), "http://a", "builder:x:1").unwrap();
        store(place.path(), "http://b", "builder:x:2").unwrap();
        store(place.path(), "http://a", "builder:x:3").unwrap();
        assert_eq!(
            load(place.path(), "http://a").unwrap().as_deref(),
            Some("builder:x:3")
        );
        assert_eq!(
            load(place.path(), "http://b").unwrap().as_deref(),
            Some("builder:x:2")
        );
        let mode = fs::metadata(path(place.path(), "http://a"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
