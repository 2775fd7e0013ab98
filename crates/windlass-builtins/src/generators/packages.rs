//! Finds the packages that `component` and `directory` name, and hashes them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use futures_util::stream::{self, StreamExt};
use sha2::{Digest, Sha256};
use windlass_model::diagnostic::{Diagnostic, Diagnostics, nearest};
use windlass_model::package::{ARCHIVE_ENDINGS, Package, split_filename};
use windlass_model::step::Level;

/// Files that are hashed at once.
const HASHED_AT_ONCE: usize = 2;
/// Bytes read at once while hashing.
const CHUNK: usize = 256 * 1024;
/// Services that a message names at most.
const MOST_NAMED: usize = 8;

/// What was asked for.
pub(super) struct Request {
    /// Files, absolute.
    pub(super) components: Vec<PathBuf>,
    /// Directories with packages in them, absolute.
    pub(super) directories: Vec<PathBuf>,
    /// The services of the config, in its order.
    pub(super) services: Vec<String>,
    /// Services to leave out; they need not be services of the config.
    pub(super) ignored: Vec<String>,
}

/// What was found: packages without their digests, in the order of the services; and lines for the log.
pub(super) struct Found {
    packages: Vec<Package>,
    /// For the log.
    pub(super) said: Vec<(Level, String)>,
}

/// Looks at file names. Every fault at once. Blocks on the file system.
pub(super) fn find(request: &Request) -> Result<Found, Diagnostics> {
    let mut search = Search {
        request,
        found: BTreeMap::new(),
        said: Vec::new(),
        faults: Diagnostics::new(),
    };
    if request.components.is_empty() && request.directories.is_empty() {
        let fault = Diagnostic::error("no package is named");
        let hint =
            "name packages with `--component FILE` or a directory of them with `--directory DIR`";
        return Err(fault.hint(hint).into());
    }
    for path in &request.components {
        search.component(path);
    }
    for path in &request.directories {
        search.directory(path);
    }
    search.finish()
}

struct Search<'a> {
    request: &'a Request,
    found: BTreeMap<String, Package>,
    said: Vec<(Level, String)>,
    faults: Diagnostics,
}

impl Search<'_> {
    fn known(&self) -> impl Iterator<Item = &str> {
        let all = self.request.services.iter().chain(&self.request.ignored);
        all.map(String::as_str)
    }

    fn fault(&mut self, message: String, hint: impl Into<String>) {
        self.faults.push(Diagnostic::error(message).hint(hint));
    }

    fn component(&mut self, path: &Path) {
        let shown = path.display();
        match fs::metadata(path) {
            Err(error) => {
                let message = format!("cannot read the package {shown}: {error}");
                return self.fault(message, "`--component` takes the path of a file");
            }
            Ok(about) if about.is_dir() => {
                let message = format!("{shown} is a directory, not a package");
                return self.fault(message, "name a directory of packages with `--directory`");
            }
            Ok(_) => {}
        }
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return self.fault(
                format!("{shown} has no name that can be read"),
                "rename the file",
            );
        };
        if !is_archive(name) {
            let hint = format!("a package ends with one of {}", ARCHIVE_ENDINGS.join(", "));
            return self.fault(format!("{shown} is no archive, by its name"), hint);
        }
        match self.split(name) {
            Some((service, version)) => self.package(path, name, &service, &version),
            None => self.stranger(path, name),
        }
    }

    fn directory(&mut self, path: &Path) {
        let names = match file_names(path) {
            Ok(names) => names,
            Err(error) => {
                let message = format!(
                    "cannot read the release directory {}: {error}",
                    path.display()
                );
                return self.fault(message, "`--directory` takes a directory of packages");
            }
        };
        let (faults, mut seen) = (self.faults.0.len(), false);
        for name in &names {
            let file = path.join(name);
            match (is_archive(name), self.split(name)) {
                (true, Some((service, version))) => {
                    seen = true;
                    self.package(&file, name, &service, &version);
                }
                (true, None) => self.stranger(&file, name),
                (false, fits) => {
                    // `shop_1.0.tar.gz.sha256` belongs to its archive; `shop_1.0.jar` may be a package meant to go along.
                    let level = match fits {
                        Some(_) if !is_beside_archive(name) => Level::Warning,
                        _ => Level::Debug,
                    };
                    let message = format!(
                        "{} is passed over: it is no archive, by its name",
                        file.display()
                    );
                    self.said.push((level, message));
                }
            }
        }
        if !seen && self.faults.0.len() == faults {
            let message = format!("the release directory {} holds no package", path.display());
            let hint = "a package is a file SERVICE_VERSION with one of the endings ";
            self.fault(message, format!("{hint}{}", ARCHIVE_ENDINGS.join(", ")));
        }
    }

    fn split(&self, name: &str) -> Option<(String, String)> {
        let (service, version) = split_filename(name, self.known())?;
        Some((service.to_owned(), version.to_owned()))
    }

    fn package(&mut self, path: &Path, filename: &str, service: &str, version: &str) {
        let shown = path.display();
        if self
            .request
            .ignored
            .iter()
            .any(|ignored| ignored == service)
        {
            let message = format!("{shown} is left out: `{service}` stands in ignore_packages");
            self.said.push((Level::Info, message));
            return;
        }
        if !is_version(version) {
            let message = format!("{shown}: `{version}` cannot be a version");
            return self.fault(
                message,
                "a version holds letters, digits and `.`, `_`, `-`, `+`, `~` only",
            );
        }
        let package = Package {
            service: service.to_owned(),
            version: version.to_owned(),
            filename: filename.to_owned(),
            path: path.to_owned(),
            sha256: String::new(),
        };
        match self.found.get(service) {
            Some(other) if other.path == package.path => {}
            Some(other) => {
                let message = format!(
                    "two packages of `{service}`: {} and {shown}",
                    other.path.display()
                );
                self.fault(
                    message,
                    "deploy one version at a time: leave one of them out",
                );
            }
            None => {
                self.found.insert(service.to_owned(), package);
            }
        }
    }

    /// An archive of no known service.
    fn stranger(&mut self, path: &Path, name: &str) {
        let stem = ARCHIVE_ENDINGS
            .iter()
            .find_map(|e| name.strip_suffix(e))
            .unwrap_or(name);
        let cuts = stem.match_indices(['_', '-']).map(|(at, _)| at);
        let heads = cuts.filter_map(|at| stem.get(..at)).chain([stem]);
        let near = heads
            .filter_map(|head| nearest(head, self.known()))
            .next_back();
        let hint = match near {
            Some(near) => format!("did you mean the service `{near}`, as in {near}_VERSION?"),
            None => match self.request.services.as_slice() {
                [] => "the config has no services; they stand under `service`".to_owned(),
                known => format!(
                    "known: {}; or name its service in `ignore_packages`",
                    some_of(known)
                ),
            },
        };
        self.fault(
            format!("{} belongs to no service of the config", path.display()),
            hint,
        );
    }

    fn finish(mut self) -> Result<Found, Diagnostics> {
        if self.found.is_empty() && !self.faults.has_errors() {
            let message =
                "nothing is left to deploy: every package stands in ignore_packages".to_owned();
            self.fault(
                message,
                "name other packages, or take their services out of ignore_packages",
            );
        }
        let order = &self.request.services;
        let packages = order
            .iter()
            .filter_map(|service| self.found.remove(service))
            .collect();
        self.faults.or(Found {
            packages,
            said: self.said,
        })
    }
}

impl Found {
    /// The packages with their SHA-256, a few hashed at a time.
    pub(super) async fn hashed(self) -> Result<Vec<Package>, Diagnostics> {
        let hashed = stream::iter(self.packages).map(|mut package| async move {
            let path = package.path.clone();
            let hashed = tokio::task::spawn_blocking(move || sha256_of(&path)).await;
            match hashed.unwrap_or_else(|stopped| Err(io::Error::other(stopped))) {
                Ok(sha256) => {
                    package.sha256 = sha256;
                    Ok(package)
                }
                Err(error) => {
                    let path = package.path.display();
                    Err(Diagnostic::error(format!(
                        "cannot read the package {path}: {error}"
                    )))
                }
            }
        });
        let mut faults = Diagnostics::new();
        let mut packages = Vec::new();
        let mut hashed = hashed.buffered(HASHED_AT_ONCE);
        while let Some(package) = hashed.next().await {
            match package {
                Ok(package) => packages.push(package),
                Err(fault) => faults.push(fault),
            }
        }
        faults.or(packages)
    }
}

fn sha256_of(path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(hex(&hash.finalize())),
            Ok(read) => hash.update(chunk.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The names of the files there, sorted. Hidden ones, directories and names that are no UTF-8 are passed over.
fn file_names(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if !name.starts_with('.') && fs::metadata(entry.path())?.is_file() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn is_archive(name: &str) -> bool {
    ARCHIVE_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Whether the name is an archive's with something after it: a digest, a signature.
fn is_beside_archive(name: &str) -> bool {
    ARCHIVE_ENDINGS
        .iter()
        .any(|ending| name.contains(&format!("{ending}.")))
}

/// A version becomes part of paths, and of whatever strings name it.
fn is_version(version: &str) -> bool {
    version
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "._-+~".contains(c))
}

/// The first few names, and how many more there are.
pub(super) fn some_of(names: &[impl AsRef<str>]) -> String {
    let first: Vec<&str> = names.iter().take(MOST_NAMED).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(MOST_NAMED) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
