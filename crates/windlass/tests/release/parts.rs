//! A repository that wants a password, and requests for a part of a project.

use std::fs;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::service::{Form, until};
use crate::sources;
use crate::world::{MANAGER, RECIPE, World, free_port, page};

/// Secret, and with what shells and URLs would trip over.
const PASSWORD: &str = "s3cr3t w'rd&%41";

/// `svnserve`, ended with the test.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_repository_with_a_password_is_built_and_nobody_is_told_it() {
    let world = World::new(Form::Yaml);
    let (_manager, mut builder, installers) = world.all(1);
    let at = world.path().join("repository");
    sources::svn(&at);
    let conf = at.join("repository/conf");
    let rules = "[general]\nanon-access = none\nauth-access = read\npassword-db = passwd\n";
    fs::write(conf.join("svnserve.conf"), rules).unwrap();
    fs::write(
        conf.join("passwd"),
        format!("[users]\nbuilder = {PASSWORD}\n"),
    )
    .unwrap();
    let port = free_port();
    let mut command = Command::new("svnserve");
    command
        .args(["--daemon", "--foreground", "--listen-host", "127.0.0.1"])
        .args(["--listen-port", &port.to_string(), "--root"])
        .arg(&at)
        .stdin(Stdio::null())
        .process_group(0);
    let _serving = Serving(command.spawn().unwrap());
    until("svnserve", || TcpStream::connect(("127.0.0.1", port)).ok());
    builder.kill();
    let url = format!("svn://127.0.0.1:{port}/repository");
    builder.edit(
        RECIPE,
        "directory: svn_checkout/template",
        &format!("svn: \"{url}\"\n  username: builder\n  password: !file conf/password"),
    );
    builder.write("conf/password", PASSWORD);
    builder.start();
    builder.says("registered with");
    world.installed(&json!({"trunk": true}));
    assert_eq!(page(&installers[0]), "trunk");
    builder.kill();
    builder.write("conf/password", "wrong, and secret too");
    builder.start();
    world.registered(2);
    let id = world.install(&json!({"branch": "next"}));
    assert_eq!(world.ended(&id), "BUILD_FAILED");
    assert!(
        world.story(&id).contains("build failed"),
        "{}",
        world.story(&id)
    );
    // Neither is in a log, a history, the store, or what is kept.
    let mut places = vec![world.path().to_owned()];
    let mut looked = 0;
    while let Some(place) = places.pop() {
        for entry in fs::read_dir(&place).unwrap().flatten() {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                places.push(path);
                continue;
            }
            let is_meant = path.ends_with("conf/password") || path.ends_with("conf/passwd");
            let Ok(text) = fs::read(&path) else { continue };
            looked += 1;
            for secret in [PASSWORD, "wrong, and secret too"] {
                let told = text.windows(secret.len()).any(|w| w == secret.as_bytes());
                assert!(is_meant || !told, "{} tells {secret}", path.display());
            }
        }
    }
    assert!(looked > 20, "{looked} files");
}

#[test]
fn components_are_built_and_installed_alone() {
    let world = World::new(Form::Yaml);
    let (mut manager, mut builder) = (world.manager(), world.generate("builder", "builder"));
    let mut installer = world.installers(1).pop().unwrap();
    let project = "conf/project/project_definition_template.yaml";
    manager.write(project, "targets: [template, extra]\n");
    builder.write(
        &format!("{RECIPE}.yaml"),
        "klass: directory\nvcs: {directory: svn_checkout/template}\ntargets: {template: {from: site}, extra: {from: more}}\n",
    );
    builder.write("svn_checkout/template/more/extra.txt", "extra");
    installer.edit(
        "conf/installer/release_installer_template",
        "test: [template]",
        "test: [template, extra]",
    );
    installer.write(
        "conf/target/test/named_target_extra.yaml",
        "{install_behavior: template, install_path: install_base/extra}",
    );
    assert!(manager.at(&format!("{MANAGER}.yaml")).is_file());
    world.up(&mut manager);
    builder.start();
    installer.start();
    world.registered(2);
    world.installed(&json!({"components": ["extra"]}));
    assert_eq!(
        crate::world::file(&installer.at("install_base/extra/extra.txt")),
        "extra"
    );
    assert!(!installer.at("install_base/template").exists());
    let releases = world.get("releases");
    let targets = releases[0]["index"]["targets"].as_object().unwrap();
    assert_eq!(targets.keys().collect::<Vec<_>>(), ["extra"]);
    let wrong = world.install(&json!({"components": ["extr"]}));
    assert_eq!(world.ended(&wrong), "REJECTED");
    assert!(
        world.story(&wrong).contains("did you mean extra?"),
        "{}",
        world.story(&wrong)
    );
    // All of it is another release of the same revision.
    world.installed(&json!({"components": "all"}));
    assert!(installer.at("install_base/template/index.html").is_file());
    assert_eq!(world.get("releases").as_array().unwrap().len(), 2);
}
