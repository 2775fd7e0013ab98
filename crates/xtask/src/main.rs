//! Checks of the workspace that no compiler makes, and documents that are made from the program.
//!
//! `cargo xtask imports` holds every crate's dependencies, and some of its sources, against the table in
//! ARCHITECTURE.md. `cargo xtask docs [--check]` writes (or compares) the generated pages of `docs/`.

#![allow(clippy::print_stderr, reason = "its faults are for whoever runs it")]

mod docs;
mod imports;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = root();
    let faults = match words.as_slice() {
        ["imports"] => imports::check(&root),
        ["docs"] => docs::run(&root, false),
        ["docs", "--check"] => docs::run(&root, true),
        _ => Err("usage: cargo xtask imports | docs [--check]".into()),
    };
    match faults {
        Ok(faults) if faults.is_empty() => ExitCode::SUCCESS,
        Ok(faults) => {
            faults.iter().for_each(|fault| eprintln!("error: {fault}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}
