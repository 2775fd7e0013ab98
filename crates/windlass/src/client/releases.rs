//! Releases that a manager keeps, and their resources as packages here.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use windlass_model::diagnostic::{Diagnostic, nearest};
use windlass_model::package::ARCHIVE_ENDINGS;
use windlass_model::release::{Item, ReleaseId, TargetName, Version};
use windlass_wire::rest::{Client, ReleaseView};

use super::ending;
use crate::ending::Ending;

/// Bytes read at once.
const CHUNK: usize = 256 << 10;

/// A release that the manager has.
pub(crate) async fn find(client: &Client, id: &ReleaseId) -> Result<ReleaseView, Ending> {
    let releases = client.releases(Some(&id.project)).await.map_err(ending)?;
    if let Some(release) = releases.iter().find(|release| release.release == *id) {
        return Ok(release.clone());
    }
    let names: Vec<String> = releases.iter().map(|r| r.release.to_string()).collect();
    let near = nearest(&id.to_string(), names.iter().map(String::as_str));
    let hint = match near {
        Some(near) => format!("did you mean {near}?"),
        None => format!("`windlass releases {}` shows what there is", id.project),
    };
    Err(Diagnostic::error(format!("there is no release {id}"))
        .hint(hint)
        .into())
}

/// Takes what a release holds as packages below `cache`, each verified by its digest; what is there already is not fetched again.
/// An error leaves no package that is not whole.
pub(crate) async fn packages(
    client: &Client,
    id: &ReleaseId,
    cache: &Path,
) -> Result<Vec<PathBuf>, Ending> {
    let release = find(client, id).await?;
    if let Some(why) = &release.rejected {
        return Err(Ending::input(
            format!("release {id} was rejected: {why}"),
            format!("`windlass releases {}` shows the others", id.project),
        ));
    }
    let mut wanted = Vec::new();
    for (target, item) in &release.index.targets {
        let name = package_name(target, &id.version, item)?;
        wanted.push((target, item, cache.join(item.digest.as_str()).join(name)));
    }
    let mut packages = Vec::new();
    for (target, item, path) in wanted {
        let here = |e: io::Error| Ending::own(path.display(), e);
        if !is_there(&path, item).map_err(here)? {
            fetch(client, id, (target, item), &path).await?;
        }
        packages.push(path);
    }
    Ok(packages)
}

/// What a resource is called as a package: by its own name where that says the version, else by its target's.
fn package_name(target: &TargetName, version: &Version, item: &Item) -> Result<String, Ending> {
    let name = item.name.as_str();
    let ending = ARCHIVE_ENDINGS.iter().find(|end| name.ends_with(**end));
    let is_plain = Path::new(name).file_name().is_some_and(|file| file == name);
    let (Some(end), true) = (ending, is_plain) else {
        return Err(Ending::input(
            format!("the resource of target {target} is {name:?}, which is no archive"),
            "a deploy unpacks packages: have the build archive it, or install it with an installer",
        ));
    };
    let stem = name.strip_suffix(end).unwrap_or(name);
    let says_version = stem
        .strip_suffix(version.as_str())
        .is_some_and(|service| service.len() > 1 && service.ends_with(['_', '-']));
    Ok(match says_version {
        true => name.to_owned(),
        false => format!("{target}_{version}{end}"),
    })
}

/// Whether a file has the bytes that are wanted.
fn is_there(path: &Path, item: &Item) -> io::Result<bool> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(e),
    };
    if file.metadata()?.len() != item.size {
        return Ok(false);
    }
    let (mut hash, mut chunk) = (Sha256::new(), vec![0; CHUNK]);
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            count => hash.update(chunk.get(..count).unwrap_or_default()),
        }
    }
    Ok(HEXLOWER.encode(&hash.finalize()) == item.digest.as_str())
}

async fn fetch(
    client: &Client,
    id: &ReleaseId,
    (target, item): (&TargetName, &Item),
    path: &Path,
) -> Result<(), Ending> {
    let here = |e: io::Error| Ending::own(path.display(), e);
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(here)?;
    // Another run may fetch the same: each has a file of its own until it is whole.
    let part = folder.join(format!("part.{}", std::process::id()));
    let fetched = async {
        let mut file = File::create(&part).map_err(here)?;
        let (mut hash, mut size) = (Sha256::new(), 0u64);
        let mut download = client.resource(id, target).await.map_err(ending)?;
        while let Some(chunk) = download.next().await.map_err(ending)? {
            size = size.saturating_add(chunk.len() as u64);
            if size > item.size {
                break;
            }
            hash.update(&chunk);
            file.write_all(&chunk).map_err(here)?;
        }
        if size != item.size || HEXLOWER.encode(&hash.finalize()) != item.digest.as_str() {
            return Err(Ending::Own(format!(
                "what the manager gave for {} of {id} is not what the release's index says",
                item.name
            )));
        }
        file.sync_all().map_err(here)?;
        fs::rename(&part, path).map_err(here)
    };
    let fetched = fetched.await;
    if fetched.is_err() {
        let _ = fs::remove_file(&part);
    }
    fetched
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn packages_say_their_version() {
        let named = |name: &str| {
            let item = Item {
                name: name.into(),
                digest: "a".repeat(64).parse().unwrap(),
                size: 1,
            };
            package_name(&"web".parse().unwrap(), &"1.4.0".parse().unwrap(), &item).ok()
        };
        for (name, package) in [
            ("shop_1.4.0.tar.gz", "shop_1.4.0.tar.gz"),
            ("shop-1.4.0.zip", "shop-1.4.0.zip"),
            ("shop.zip", "web_1.4.0.zip"),
            ("shop_1.3.0.tar", "web_1.4.0.tar"),
            ("_1.4.0.zip", "web_1.4.0.zip"),
        ] {
            assert_eq!(named(name).as_deref(), Some(package), "{name}");
        }
        for name in ["shop.war", "../shop_1.4.0.zip", ""] {
            assert_eq!(named(name), None, "{name}");
        }
    }
}
