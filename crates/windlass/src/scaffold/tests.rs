//! Tests of the trees.

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation does")]

use std::collections::BTreeSet;
use std::path::Path;

use super::*;

/// The seed's listing of a tree (`release-manager.rst`), as paths; what lies below `svn_checkout` is free.
const BUILDER: &str = "
|-- README.txt
|-- archive
|-- builder
|   |-- __init__.py
|   `-- template.py
|-- conf
|   `-- builder
|       |-- build_host_template.xml
|       `-- release_builder_template.xml
|-- log
|-- plugins
|-- serve.py
|-- svn_checkout
|-- utils
|   `-- template_builder.py
`-- work
";
const MANAGER: &str = "
|-- README.txt
|-- conf
|   |-- manager
|   |   `-- release_manager_template.xml
|   `-- project
|       `-- project_definition_template.xml
|-- log
|-- plugins
|-- serve.py
`-- work
";
const INSTALLER: &str = "
|-- README.txt
|-- conf
|   |-- installer
|   |   `-- release_installer_template.xml
|   `-- target
|       |-- dev
|       |-- prod
|       |-- qa
|       `-- test
|           |-- install_behavior_template.xml
|           `-- named_target_template.xml
|-- install_base
|-- log
|-- plugins
|-- serve.py
`-- work
";

/// The paths of a listing as `tree` prints it.
fn listed(listing: &str) -> BTreeSet<String> {
    let mut above: Vec<&str> = Vec::new();
    let mut paths = BTreeSet::new();
    for line in listing.lines().filter(|line| !line.is_empty()) {
        let (indent, name) = line.split_once("-- ").unwrap();
        above.truncate(indent.len() / 4);
        above.push(name);
        paths.insert(above.join("/"));
    }
    paths
}

/// What is really below a directory, except in `svn_checkout`.
fn found(root: &Path) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap().flatten() {
            let path = entry.path();
            let shown = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            if path.is_dir() && shown != "svn_checkout" {
                open.push(path);
            }
            paths.insert(shown);
        }
    }
    paths
}

fn made(kind: Kind, form: Form, plugin: Option<&str>) -> BTreeSet<String> {
    let dir = tempfile::TempDir::new().unwrap();
    let words = Words::new(kind, form, "mine", Path::new("/usr/bin/windlass"), plugin).unwrap();
    write(dir.path(), &tree(kind, &words)).unwrap();
    found(dir.path())
}

#[test]
fn the_trees_of_xml_are_the_seeds_to_the_letter() {
    for (kind, listing) in [
        (Kind::Builder, BUILDER),
        (Kind::Manager, MANAGER),
        (Kind::Installer, INSTALLER),
    ] {
        assert_eq!(made(kind, Form::Xml, None), listed(listing));
    }
}

#[test]
fn an_auth_plugin_adds_its_files_and_no_more() {
    let with = made(Kind::Manager, Form::Xml, Some("simpleauth"));
    let more: Vec<String> = with.difference(&listed(MANAGER)).cloned().collect();
    assert_eq!(
        more,
        [
            "conf/plugins",
            "conf/plugins/auth",
            "conf/plugins/auth/plugin_auth_simpleauth.xml",
            "plugins/auth",
            "plugins/auth/simpleauth.py"
        ]
    );
}

#[test]
fn no_word_is_left_open() {
    for kind in [Kind::Manager, Kind::Builder, Kind::Installer] {
        for form in [Form::Yaml, Form::Xml] {
            let binary = Path::new("/opt/it's/wind\"lass");
            let words = Words::new(kind, form, "mine", binary, Some("my_own")).unwrap();
            for entry in tree(kind, &words) {
                if let What::File(text) | What::Program(text) = entry.what {
                    let open = text.split('@').skip(1).step_by(2);
                    let word = |w: &str| !w.is_empty() && w.chars().all(|c| c.is_ascii_uppercase());
                    assert!(!open.clone().any(word), "{}:\n{text}", entry.path);
                    assert!(text.ends_with('\n'), "{}", entry.path);
                }
            }
        }
    }
}
