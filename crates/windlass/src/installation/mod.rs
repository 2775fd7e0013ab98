//! Loads the configuration of a manager, a builder or an installer from its directory. All faults of all files at once.

mod agents;
mod files;
mod manager;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use windlass_model::diagnostic::{Diagnostic, Diagnostics};
use windlass_model::installation::{AuthCode, AuthPlugin, Code, prefix};

pub(crate) use agents::{InstallerSetup, load_builder, load_installer};
use files::{Folder, Origin, Wanted};
pub(crate) use manager::{ManagerSetup, load_manager};

/// The name that is looked up unless another one is given.
pub(crate) const DEFAULT_NAME: &str = "template";

/// Where an installation is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// What its relative paths are relative to.
    pub(crate) root: PathBuf,
    /// Where its configuration is.
    conf: PathBuf,
}

impl Place {
    /// The installation in `directory`; with `conf`, a directory that takes the place of `conf` in it, relative paths are
    /// relative to that one's parent.
    pub(crate) fn new(directory: &Path, conf: Option<&Path>) -> Result<Self, Diagnostics> {
        let place = match conf {
            None => Self {
                root: directory.to_owned(),
                conf: directory.join("conf"),
            },
            Some(conf) => {
                let whole = std::path::absolute(conf).unwrap_or_else(|_| conf.to_owned());
                Self {
                    root: whole.parent().unwrap_or(&whole).to_owned(),
                    conf: conf.to_owned(),
                }
            }
        };
        if place.conf.is_dir() {
            return Ok(place);
        }
        let message = format!("{} is no directory", place.conf.display());
        let hint = match conf {
            Some(_) => "`-p` names the directory with `manager`, `builder` or `installer` in it",
            None => "name an installation, as `windlass generate` makes it",
        };
        Err(Diagnostic::error(message).hint(hint).into())
    }

    /// A path of the configuration.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    fn folder(&self, path: &str) -> Folder {
        Folder(self.conf.join(path))
    }

    /// The file of the installation that holds `code`; none for what is built in.
    fn program(&self, code: &Code) -> Result<Option<PathBuf>, Diagnostic> {
        let (Some(files), Code::Own { package, klass }) = (code.files(), code) else {
            return Ok(None);
        };
        let found = files
            .iter()
            .map(|file| self.root.join(file))
            .find(|path| path.is_file());
        if let Some(path) = found {
            return Ok(Some(path));
        }
        let [program, python] = files;
        let message = format!(
            "there is no file for `package: {package}`: neither {python} nor {program} in {}",
            self.root.display()
        );
        let hint = format!("write {python} with the class `{klass}`, or correct `package`");
        Err(Diagnostic::error(message).hint(hint))
    }
}

/// An item with code of its own.
#[derive(Clone, Debug)]
pub(crate) struct WithCode<T> {
    /// What its file says.
    pub(crate) item: T,
    /// The program of the installation behind it; none for what is built in.
    pub(crate) program: Option<PathBuf>,
}

/// The auth plugin that a service names.
fn auth(
    place: &Place,
    name: Option<&str>,
    origin: &Origin,
    told: &mut Diagnostics,
) -> Option<WithCode<AuthPlugin>> {
    let name = name?;
    let folder = place.folder("plugins/auth");
    let wanted = Wanted::by(format!("`auth: {name}` of {}", origin.file));
    let (item, origin) = folder.one(prefix::AUTH, name, &wanted, AuthPlugin::read, told)?;
    let program = match &item.code {
        AuthCode::Own(code) => coded(place, code, &origin, told)?,
        _ => None,
    };
    Some(WithCode { item, program })
}

/// The program behind code, told as a fault of `file` if there is none.
fn coded(
    place: &Place,
    code: &Code,
    origin: &Origin,
    told: &mut Diagnostics,
) -> Option<Option<PathBuf>> {
    match place.program(code) {
        Ok(program) => Some(program),
        Err(mut fault) => {
            fault.message = format!("{}: {}", origin.file, fault.message);
            told.push(fault);
            None
        }
    }
}

/// Reads every plugin of a service whose own file cannot say which it names, for their faults.
fn all_plugins(place: &Place, told: &mut Diagnostics) {
    let auth = place.folder("plugins/auth");
    auth.all(prefix::AUTH, AuthPlugin::read, told);
}

/// What was loaded, and warnings; or all that is wrong.
pub(crate) type Loaded<T> = Result<(T, Diagnostics), Diagnostics>;

fn ended<T>(loaded: Option<T>, told: Diagnostics) -> Loaded<T> {
    match loaded {
        Some(loaded) if !told.has_errors() => Ok((loaded, told)),
        _ => Err(told),
    }
}
