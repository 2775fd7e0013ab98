//! Pages of `docs/` that are made from the program itself.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Writes the pages, or says which of them are not what the program would write.
pub(crate) fn run(root: &Path, check: bool) -> Result<Vec<String>, String> {
    let pages = [
        ("docs/commands.md", commands(root)?),
        ("docs/cli.md", cli(root)?),
        (
            "docs/tasklist.schema.json",
            windlass(root, &["schema", "tasklist"])?,
        ),
    ];
    let mut faults = Vec::new();
    for (name, page) in pages {
        let path = root.join(name);
        if !check {
            fs::write(&path, page).map_err(|e| format!("{name}: {e}"))?;
        } else if fs::read_to_string(&path).unwrap_or_default() != page {
            faults.push(format!(
                "{name} is not what the program says; `cargo xtask docs` writes it"
            ));
        }
    }
    Ok(faults)
}

/// What the program prints for these arguments. It runs through cargo, so it is the one of these sources.
fn windlass(root: &Path, arguments: &[&str]) -> Result<String, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(root)
        .env("COLUMNS", "100")
        .args([
            "run",
            "--quiet",
            "--package",
            "windlass",
            "--bin",
            "windlass",
            "--",
        ])
        .args(arguments)
        .output()
        .map_err(|e| format!("cargo run: {e}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    String::from_utf8(output.stdout).map_err(|e| e.to_string())
}

fn commands(root: &Path) -> Result<String, String> {
    let json = windlass(root, &["commands", "--json"])?;
    let all: Vec<Value> = serde_json::from_str(&json).map_err(|e| e.to_string())?;
    let mut page = String::from(
        "# Commands\n\nMade from the program by `cargo xtask docs`; `windlass commands NAME` prints the same. Times are in \
         seconds. Every command also\ntakes the engine's keys: `remote_host`, `remote_user`, `tag`, `use_sudo`, \
         `time_limit` (3600; 0 for none), `retries` (0),\n`retry_delay` (1).\n",
    );
    for command in &all {
        let name = command["name"].as_str().unwrap_or("");
        let _ = writeln!(
            page,
            "\n## `{name}`\n\n{}\n",
            command["about"].as_str().unwrap_or("")
        );
        let schema = &command["arguments"];
        let required: Vec<&str> = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let properties = schema["properties"].as_object();
        if properties.is_none_or(serde_json::Map::is_empty) {
            page.push_str("No arguments.\n");
            continue;
        }
        page.push_str("| argument | default | meaning |\n| --- | --- | --- |\n");
        for (key, property) in properties.into_iter().flatten() {
            let default = match property.get("default") {
                _ if required.contains(&key.as_str()) => "required".to_owned(),
                None | Some(Value::Null) => "-".to_owned(),
                Some(default) => format!("`{default}`"),
            };
            let about = property["description"].as_str().unwrap_or("");
            let about = about
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .replace('|', "\\|");
            let _ = writeln!(page, "| `{key}` | {default} | {about} |");
        }
    }
    Ok(page)
}

fn cli(root: &Path) -> Result<String, String> {
    let help = windlass(root, &["--help"])?;
    let mut page = format!(
        "# Command line\n\nMade from the program by `cargo xtask docs`.\n\nExit status: 0 done; 1 tasks failed; 2 nothing was done, \
         the input is at fault; 3 Windlass itself failed;\n4 the outcome is unknown; 130 interrupted.\n\n```text\n{help}```\n"
    );
    let verbs = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next());
    for verb in verbs {
        let _ = write!(
            page,
            "\n## `windlass {verb}`\n\n```text\n{}```\n",
            windlass(root, &[verb, "--help"])?
        );
    }
    Ok(page)
}
