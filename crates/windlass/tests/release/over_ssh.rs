//! An install that is a tasklist: it goes over SSH to hosts that run no installer, with a row for each of them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::{Value, json};
use windlass_testkit::sshd::{Sshd, SshdOptions};

use crate::service::{Form, Service};
use crate::world::{BEHAVIOUR, World, text};

/// What `windlass versions` says of an installer.
pub(crate) fn versions(installer: &Service, more: &[&str]) -> Value {
    let home = installer.dir.parent().unwrap().join("home");
    let out = Command::new(env!("CARGO_BIN_EXE_windlass"))
        .args(["versions", "--json"])
        .arg(&installer.dir)
        .args(more)
        .env("HOME", &home)
        .env("XDG_CACHE_HOME", home.join("cache"))
        .output()
        .unwrap();
    serde_json::from_str(&text(&out)).unwrap()
}

#[test]
fn hosts_without_an_installer_get_a_row_each() {
    let world = World::new(Form::Yaml);
    let hosts: Vec<Sshd> = (0..2)
        .map(|_| Sshd::start(&SshdOptions::default()).unwrap())
        .collect();
    let blocks: String = hosts
        .iter()
        .enumerate()
        .map(|(n, sshd)| sshd.host_block(&format!("web{}", n + 1), ""))
        .collect();
    let ssh = world.path().join("home/.ssh");
    fs::create_dir_all(&ssh).unwrap();
    fs::write(ssh.join("config"), blocks).unwrap();
    let there = world.path().join("there");
    fs::create_dir(&there).unwrap();
    fs::set_permissions(&there, fs::Permissions::from_mode(0o777)).unwrap();
    let at = |host: &str| there.join(host).display().to_string();
    let (mut manager, mut builder) = (world.manager(), world.generate("builder", "builder"));
    let mut installer = world.installers(1).pop().unwrap();
    let tasks: Vec<Value> = ["web1", "web2"]
        .iter()
        .map(|host| {
            json!([
                {"command": "createdirectory", "remote_host": host, "source": at(host)},
                {"command": "upload", "remote_host": host, "source": "{resource}", "destination": at(host)},
                {"command": "writefile", "remote_host": host, "destination": format!("{}/version", at(host)), "contents": "{version}", "clobber": true},
            ])
        })
        .collect();
    let asked: Vec<Value> = ["web1", "web2"]
        .iter()
        .map(|host| json!({"command": "execute_command", "remote_host": host, "run": format!("cat {}/version", at(host)), "safe_to_repeat": true}))
        .collect();
    let behaviour = json!({
        "klass": "tasklist", "package": "windlass.install",
        "stages": [{"name": "Put", "concurrency": 2, "tasks": tasks}],
        "version_stages": [{"name": "Ask", "concurrency": 2, "tasks": asked}],
    });
    installer.write(&format!("{BEHAVIOUR}.yaml"), &behaviour.to_string());
    world.up(&mut manager);
    builder.start();
    installer.start();
    world.registered(2);
    let id = world.install(&json!({}));
    assert_eq!(
        world.ended(&id),
        "INSTALL_COMPLETED",
        "{}",
        world.story(&id)
    );
    let rows = world.get("installed");
    let mut of: Vec<&str> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["host"].as_str().unwrap())
        .collect();
    of.sort_unstable();
    assert_eq!(of, ["web1", "web2"]);
    let release = rows[0]["release"].as_str().unwrap();
    let version = release.split_once('@').unwrap().1;
    for host in ["web1", "web2"] {
        assert_eq!(
            fs::read_to_string(there.join(host).join("version"))
                .unwrap()
                .trim(),
            version
        );
        assert!(there.join(host).join("template.zip").is_file());
    }
    let told = versions(&installer, &[]);
    for host in told.as_array().unwrap() {
        assert_eq!(host["version"], json!(version), "{told}");
    }
    assert_eq!(told.as_array().unwrap().len(), 2);
}
