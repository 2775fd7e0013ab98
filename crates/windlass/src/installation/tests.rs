//! Tests of loading.

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation does")]

use std::path::Path;

use tempfile::TempDir;
use windlass_model::installation::{AuthCode, Code, VcsKind};

use super::*;
use crate::scaffold::{self, Form, Kind, Words};

/// An installation as `generate` writes it.
fn made(kind: Kind, form: Form, plugin: Option<&str>) -> TempDir {
    let dir = TempDir::new().unwrap();
    let words = Words::new(kind, form, "mine", Path::new("/opt/it's/windlass"), plugin).unwrap();
    scaffold::write(dir.path(), &scaffold::tree(kind, &words)).unwrap();
    dir
}

fn place(dir: &TempDir) -> Place {
    Place::new(dir.path(), None).unwrap()
}

fn good<T>(loaded: Loaded<T>) -> T {
    let (loaded, warnings) = loaded.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(warnings.to_string(), "");
    loaded
}

fn told<T>(dir: &TempDir, loaded: Loaded<T>) -> String {
    let text = match loaded {
        Ok((_, warnings)) => format!("no error\n{warnings}"),
        Err(faults) => faults.to_string(),
    };
    text.replace(dir.path().to_str().unwrap(), "DIR")
}

/// Puts `line` into a file, before its end if it is XML.
fn edit(dir: &TempDir, file: &str, edit: impl FnOnce(String) -> String) {
    let path = dir.path().join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, edit(text)).unwrap();
}

#[test]
fn generated_managers_load() {
    for form in [Form::Yaml, Form::Xml] {
        let dir = made(Kind::Manager, form, None);
        let setup = good(load_manager(&place(&dir), DEFAULT_NAME));
        assert_eq!(setup.manager.service.name, "mine");
        assert_eq!(setup.manager.listen.port, 10_000);
        assert_eq!(setup.projects[0].name.as_str(), "template");
        assert_eq!(setup.projects[0].targets[0].as_str(), "template");
        assert!(setup.manager.rest.is_empty() && setup.projects[0].rest.is_empty());
        assert!(setup.auth.is_none() && setup.persist.is_none());
    }
}

#[test]
fn generated_builders_load() {
    for form in [Form::Yaml, Form::Xml] {
        let dir = made(Kind::Builder, form, None);
        let place = place(&dir);
        let setup = good(load_builder(&place, DEFAULT_NAME));
        assert_eq!(setup.host.agent.managers, ["http://localhost:10000"]);
        assert!(setup.host.rest.is_empty());
        let builder = &setup.builders[0];
        let vcs = builder.item.vcs.clone().unwrap();
        assert_eq!(vcs.kind, VcsKind::Directory);
        let source = place.path(&vcs.url);
        assert!(source.join("site/index.html").is_file());
        match form {
            Form::Yaml => assert_eq!(builder.item.code, Code::BuiltIn("directory".into())),
            Form::Xml => assert_eq!(
                builder.program,
                Some(dir.path().join("builder/template.py"))
            ),
        }
    }
}

#[test]
fn generated_installers_load() {
    for form in [Form::Yaml, Form::Xml] {
        let dir = made(Kind::Installer, form, Some("simpleauth"));
        let setup = good(load_installer(&place(&dir), DEFAULT_NAME));
        let (at, target) = setup.targets.first_key_value().unwrap();
        assert_eq!((at.0.as_str(), at.1.as_str()), ("test", "template"));
        assert_eq!(target.target.install_path, "install_base/template");
        assert_eq!(target.behavior.code, Code::BuiltIn("unarchive".into()));
        assert!(
            setup.installer.agent.service.auth.is_none(),
            "an auth plugin is there to be enabled"
        );
    }
}

#[test]
fn a_generated_auth_plugin_is_enabled_by_its_name() {
    for (form, file) in [(Form::Yaml, ".yaml"), (Form::Xml, ".xml")] {
        let dir = made(Kind::Manager, form, Some("simpleauth"));
        let file = format!("conf/manager/release_manager_template{file}");
        edit(&dir, &file, |text| match form {
            Form::Yaml => text.replace("#auth:", "auth:"),
            Form::Xml => text.replace(
                "</release_manager>",
                "<auth>simpleauth</auth></release_manager>",
            ),
        });
        let setup = good(load_manager(&place(&dir), DEFAULT_NAME));
        let auth = setup.auth.unwrap();
        assert!(matches!(auth.item.code, AuthCode::Own(_)));
        assert_eq!(
            auth.program,
            Some(dir.path().join("plugins/auth/simpleauth.py"))
        );
    }
}

#[test]
fn both_forms_may_stand_side_by_side_and_another_conf_moves_the_root() {
    let dir = made(Kind::Installer, Form::Xml, None);
    edit(
        &dir,
        "other/conf2/installer/release_installer_x.yml",
        |_| "environments: {qa: [t]}\n".into(),
    );
    edit(&dir, "other/conf2/target/qa/named_target_t.xml", |_| {
        "<named_target install_behavior='t' install_path='here'/>".into()
    });
    edit(
        &dir,
        "other/conf2/target/qa/install_behavior_t.yaml",
        |_| "{klass: Mine, package: plugins.mine}".into(),
    );
    edit(&dir, "other/plugins/mine.py", |_| String::new());
    let conf = dir.path().join("other/conf2");
    let place = Place::new(dir.path(), Some(&conf)).unwrap();
    let setup = good(load_installer(&place, "x"));
    assert_eq!(place.root, dir.path().join("other"));
    assert_eq!(setup.installer.agent.service.name, "x");
    let is_own =
        |code: &Code| matches!(code, Code::Own { package, .. } if package == "plugins.mine");
    assert!(setup.targets.values().all(|t| is_own(&t.behavior.code)));
}

#[test]
fn faults_of_all_files_come_at_once() {
    let dir = made(Kind::Installer, Form::Yaml, None);
    edit(
        &dir,
        "conf/installer/release_installer_template.yaml",
        |text| {
            text.replace(
            "  test: [template]",
            "  test: [template, templat]\n  qa: [template]\n  stage: [a]\nauth: nobody\nslots: 0\n",
        )
        .replace("slots: 1\n", "")
        },
    );
    edit(
        &dir,
        "conf/target/test/named_target_template.yaml",
        |text| text.replace("install_path:", "instal_path:"),
    );
    let first = told(&dir, load_installer(&place(&dir), DEFAULT_NAME));
    edit(
        &dir,
        "conf/target/test/named_target_template.yaml",
        |text| text.replace("instal_path:", "install_path:"),
    );
    edit(
        &dir,
        "conf/installer/release_installer_template.yaml",
        |text| text.replace("slots: 0\n", ""),
    );
    edit(
        &dir,
        "conf/target/test/install_behavior_template.yaml",
        |text| text.replace("windlass.install", "plugins.missing"),
    );
    let second = told(&dir, load_installer(&place(&dir), DEFAULT_NAME));
    let builder = made(Kind::Builder, Form::Xml, None);
    edit(
        &builder,
        "conf/builder/release_builder_template.yaml",
        |_| "klass: x\n".into(),
    );
    edit(&builder, "conf/builder/release_builder_other.xml", |_| {
        "<a><b></a>".into()
    });
    edit(&builder, "conf/builder/release_bilder_third.xml", |_| {
        "<a/>".into()
    });
    let third = told(&builder, load_builder(&place(&builder), "templte"));
    let manager = made(Kind::Manager, Form::Xml, None);
    std::fs::remove_dir_all(manager.path().join("conf/project")).unwrap();
    edit(
        &manager,
        "conf/manager/release_manager_template.xml",
        |text| {
            text.replace(
                "</release_manager>",
                "<persist>db</persist></release_manager>",
            )
        },
    );
    let fourth = told(&manager, load_manager(&place(&manager), DEFAULT_NAME));
    let nowhere = Place::new(Path::new("/nowhere"), None)
        .unwrap_err()
        .to_string();
    insta::assert_snapshot!([first, second, third, fourth, nowhere].join("---\n"));
}
