//! Writes the directory of a manager, a builder or an installer.

mod fill;
mod trees;

#[cfg(test)]
mod tests;

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use clap::ValueEnum;

pub(crate) use fill::Words;
pub(crate) use trees::tree;

/// Which service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Takes requests, and has others build and install
    Manager,
    /// Builds projects
    Builder,
    /// Installs on this machine
    Installer,
}

impl Kind {
    /// Its name on the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Manager => "manager",
            Self::Builder => "builder",
            Self::Installer => "installer",
        }
    }
}

/// What the files are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// YAML, built-in behaviours, a shell script to start it
    Yaml,
    /// XML, Python behaviours, a Python script to start it
    Xml,
}

/// Something in a tree: a path relative to its root, and what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) path: String,
    pub(crate) what: What,
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// An empty directory.
    Directory,
    /// A file.
    File(String),
    /// A file that can be run.
    Program(String),
}

/// Writes a tree into `root`, which is made if it is missing. A file that is there already is an error.
pub(crate) fn write(root: &Path, tree: &[Entry]) -> io::Result<()> {
    fs::create_dir_all(root)?;
    for entry in tree {
        let path = root.join(&entry.path);
        let (text, mode) = match &entry.what {
            What::Directory => {
                fs::create_dir_all(&path)?;
                continue;
            }
            What::File(text) => (text, 0o644),
            What::Program(text) => (text, 0o755),
        };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
    }
    Ok(())
}
