//! Which files are plugins.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use windlass_model::diagnostic::{Diagnostic, Diagnostics};

/// The file that offers `name`: `name` (executable) or `name.py` in the folder `dir`. None when there is neither, and for
/// a name that no plugin can have; plugins are called by small letters, digits, `_` and `-`.
pub fn find(dir: &Path, name: &str) -> Result<Option<PathBuf>, Diagnostics> {
    if !is_name(name) {
        return Ok(None);
    }
    let plain = dir.join(name);
    if plain.is_file() {
        if !is_executable(&plain) {
            return Err(not_executable(&plain).into());
        }
        return Ok(Some(plain));
    }
    let python = dir.join(format!("{name}.py"));
    Ok(python.is_file().then_some(python))
}

/// Every plugin in the folder `dir`, by name: executables and `.py` files whose names a plugin can have. Other files are
/// left alone; a folder that is not there has none.
pub fn list(dir: &Path) -> Result<Vec<PathBuf>, Diagnostics> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => {
            let message = format!("cannot read the folder {}: {e}", dir.display());
            return Err(Diagnostic::error(message).into());
        }
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| is_plugin(path))
        .collect();
    files.sort();
    Ok(files)
}

/// What a file is called as a plugin: its name without `.py`.
pub(super) fn plugin_name(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    let name = name.strip_suffix(".py").unwrap_or(name);
    is_name(name).then_some(name)
}

/// Whether it is run by Python.
pub(super) fn is_python(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "py")
}

fn is_plugin(path: &Path) -> bool {
    let named = plugin_name(path).is_some_and(|name| !name.starts_with('_'));
    named && path.is_file() && (is_python(path) || is_executable(path))
}

fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    !name.is_empty() && name.len() <= 100 && name.chars().all(allowed)
}

fn is_executable(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|m| m.permissions().mode() & 0o111 != 0)
}

fn not_executable(path: &Path) -> Diagnostic {
    let path = path.display();
    Diagnostic::error(format!("the plugin {path} is not executable")).hint(format!(
        "chmod +x {path}, or call it {path}.py if it is Python"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(dir: &Path, name: &str, mode: u32) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn executables_come_before_python_and_must_be_executable() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        assert_eq!(find(dir, "a").unwrap(), None);
        let python = put(dir, "a.py", 0o644);
        assert_eq!(find(dir, "a").unwrap(), Some(python));
        let plain = put(dir, "a", 0o755);
        assert_eq!(find(dir, "a").unwrap(), Some(plain));
        put(dir, "b", 0o644);
        let error = find(dir, "b").unwrap_err().to_string();
        assert!(
            error.contains("is not executable") && error.contains("chmod +x"),
            "{error}"
        );
        for wrong in ["", "../a", "A", "a.py", "a/b", "a b"] {
            assert_eq!(find(dir, wrong).unwrap(), None, "{wrong}");
        }
    }

    #[test]
    fn only_plugins_are_listed() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        for (name, mode) in [
            ("b.py", 0o644),
            ("a", 0o755),
            ("readme", 0o644),
            ("__init__.py", 0o644),
            ("X", 0o755),
            (".hidden", 0o755),
            ("notes.txt", 0o755),
        ] {
            put(dir, name, mode);
        }
        std::fs::create_dir(dir.join("folder")).unwrap();
        assert_eq!(list(dir).unwrap(), [dir.join("a"), dir.join("b.py")]);
        assert!(list(&dir.join("absent")).unwrap().is_empty());
    }
}
