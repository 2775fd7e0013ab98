//! The import table of ARCHITECTURE.md, held against the crates.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What must not stand in the sources of a crate, and the crates that are free to.
const RULES: [(&str, &str, &[&str]); 6] = [
    (
        "std::env::",
        "reads the environment; the binary passes in what is needed",
        &["windlass"],
    ),
    ("std::process::exit", "exits; libraries return errors", &[]),
    (
        "println!",
        "prints; libraries return values and events",
        &["xtask"],
    ),
    (
        "russh::",
        "knows SSH, which lives in windlass-builtins",
        &["windlass-builtins"],
    ),
    (
        "sqlx::",
        "knows SQL, which lives in windlass-store",
        &["windlass-store"],
    ),
    (
        "http::StatusCode",
        "knows HTTP statuses, which live in windlass-server",
        &["windlass-server"],
    ),
];

/// Every fault: a crate that imports what its row does not name, a row without a crate, a source that breaks a rule.
pub(crate) fn check(root: &Path) -> Result<Vec<String>, String> {
    let table = table(root)?;
    let mut faults = Vec::new();
    let crates = root.join("crates");
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(&crates).map_err(|e| e.to_string())?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        found.insert(name.clone());
        let Some(allowed) = table.get(&name) else {
            faults.push(format!(
                "crate {name} has no row in the table of ARCHITECTURE.md"
            ));
            continue;
        };
        for import in imports_of(&entry.path())? {
            if !allowed.contains(&import) {
                faults.push(format!(
                    "crate {name} imports {import}, which its row in ARCHITECTURE.md does not name"
                ));
            }
        }
        sources(&entry.path().join("src"), &mut |path, text| {
            let code = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            let code: String = code
                .take_while(|line| !line.contains("#[cfg(test)]"))
                .collect::<Vec<_>>()
                .join("\n");
            for (word, why, free) in RULES {
                if code.contains(word) && !free.contains(&name.as_str()) && !is_free(&name) {
                    faults.push(format!("{} {why} (`{word}`)", path.display()));
                }
            }
        })?;
    }
    for name in table.keys().filter(|name| !found.contains(*name)) {
        faults.push(format!(
            "the table of ARCHITECTURE.md has a row for {name}, which is no crate"
        ));
    }
    Ok(faults)
}

fn is_free(name: &str) -> bool {
    matches!(name, "windlass-testkit" | "xtask")
}

/// Crate -> the crates of ours that it may import, from the table whose head is `| crate | ... | imports |`.
fn table(root: &Path) -> Result<BTreeMap<String, BTreeSet<String>>, String> {
    let text = fs::read_to_string(root.join("ARCHITECTURE.md"))
        .map_err(|e| format!("ARCHITECTURE.md: {e}"))?;
    let rows = text
        .lines()
        .skip_while(|line| !(line.starts_with("| crate ") && line.ends_with("imports |")))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let mut table = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let (Some(name), Some(imports)) = (cells.first(), cells.last()) else {
            continue;
        };
        let named = |word: &str| word.trim().trim_matches('`').to_owned();
        let imports = imports.split(',').map(named).filter(|i| i != "-").collect();
        table.insert(named(name), imports);
    }
    if table.is_empty() {
        return Err(
            "ARCHITECTURE.md holds no table with the head `| crate | ... | imports |`".into(),
        );
    }
    Ok(table)
}

fn imports_of(krate: &Path) -> Result<Vec<String>, String> {
    let path = krate.join("Cargo.toml");
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let manifest: toml::Table =
        toml::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
    let names = dependencies.into_iter().flat_map(|table| table.keys());
    Ok(names
        .filter(|name| name.starts_with("windlass"))
        .cloned()
        .collect())
}

fn sources(dir: &Path, visit: &mut dyn FnMut(&PathBuf, &str)) -> Result<(), String> {
    for entry in fs::read_dir(dir)
        .map_err(|e| format!("{}: {e}", dir.display()))?
        .flatten()
    {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, visit)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            let is_test = path.file_stem().is_some_and(|s| s == "tests");
            if !is_test {
                visit(&path, &text);
            }
        }
    }
    Ok(())
}
