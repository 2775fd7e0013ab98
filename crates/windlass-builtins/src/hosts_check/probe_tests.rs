use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::commands::control::ControlType;

use super::*;

/// Runs the program under each shell that is here, with GNU's programs or busybox's.
fn seen(probe: &Probe<'_>) -> Vec<(String, Seen)> {
    let script = probe.run().script;
    let mut all = Vec::new();
    for shell in [&["dash"][..], &["bash"], &["mksh"], &["busybox", "sh"]] {
        let (program, args) = shell.split_first().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(program);
        command.args(args).args(["-c", &script]);
        if *program == "busybox" {
            let install = format!("busybox --install -s {}", directory.path().display());
            Command::new("sh").args(["-c", &install]).status().unwrap();
            command.env("PATH", directory.path());
        }
        let Ok(output) = command.output() else {
            continue;
        };
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success(), "{program}: {output:?}");
        assert_eq!(err, "", "{program}");
        all.push(((*program).to_owned(), read(&out)));
    }
    assert!(all.len() >= 2, "hardly a shell is here");
    all
}

fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

#[test]
fn places_are_looked_at() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("file"), "").unwrap();
    symlink("/nowhere/at all", at("dangling")).unwrap();
    std::fs::create_dir(at("closed")).unwrap();
    std::fs::create_dir(at("it's open")).unwrap();
    std::fs::set_permissions(at("closed"), PermissionsExt::from_mode(0o000)).unwrap();
    let top = directory.path().to_str().unwrap().to_owned();
    let places = [
        at("new/and below"),
        at("file/x"),
        at("dangling/x"),
        at("closed/x"),
        at("it's open"),
        "/".to_owned(),
    ];
    let probe = Probe {
        places: &places,
        disk: Some("/"),
        ..Probe::default()
    };
    for (shell, seen) in seen(&probe) {
        assert!(seen.is_whole, "{shell}");
        let place = |n: usize| seen.places.get(&n).cloned().unwrap();
        assert_eq!(place(0), (Kind::Open, top.clone()), "{shell}");
        assert_eq!(place(1), (Kind::File, at("file")), "{shell}");
        assert_eq!(place(2), (Kind::File, at("dangling")), "{shell}");
        assert_eq!(place(4), (Kind::Open, at("it's open")), "{shell}");
        assert_eq!(place(5).1, "/", "{shell}");
        if !is_root() {
            assert_eq!(place(3), (Kind::Closed, at("closed")), "{shell}");
        }
        for number in [0, 4, 5, 6] {
            for df in [&seen.space, &seen.inodes] {
                let room = super::super::disk::read(&df[&number]);
                let room = room.unwrap_or_else(|| panic!("{shell}: {df:?}"));
                assert!(
                    room.free > 0 && Path::new(&room.mount).is_dir(),
                    "{shell}: {room:?}"
                );
            }
        }
        let now = jiff::Timestamp::now().as_second();
        assert!((now - seen.clock.unwrap()).abs() < 60, "{shell}");
        assert_eq!(
            seen.missing,
            Vec::<String>::new(),
            "tools were not asked for"
        );
    }
}

#[test]
fn tools_are_found_and_missed() {
    let probe = Probe {
        tools: true,
        systemd: true,
        ..Probe::default()
    };
    for (shell, seen) in seen(&probe) {
        let missing = |tool: &str| seen.missing.iter().any(|m| m == tool);
        for tool in ["tar", "gzip", "readlink", "sha256sum", "mv -T", "timeout"] {
            assert!(!missing(tool), "{shell}: {tool}");
        }
        assert_eq!(missing("zstd"), shell == "busybox", "{shell}: {seen:?}");
    }
    let nothing = tempfile::tempdir().unwrap();
    let output = Command::new("/bin/sh")
        .args(["-c", &probe.run().script])
        .env("PATH", nothing.path())
        .output()
        .unwrap();
    let seen = read(&String::from_utf8_lossy(&output.stdout));
    assert!(seen.is_whole && seen.clock.is_none());
    for tool in ["tar", "mv", "sha256sum", "zstd", "date", "timeout"] {
        assert!(seen.missing.iter().any(|m| m == tool), "{tool}: {seen:?}");
    }
}

#[test]
fn services_are_asked_of_their_supervisor() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().to_str().unwrap();
    let of = |kind, name: &str| Supervised::new(kind, name).unwrap().unwrap();
    let services = [
        of(ControlType::Runit, "nowhere"),
        of(ControlType::Runit, at),
        of(ControlType::Daemontools, &format!("{at}/none")),
        of(ControlType::Systemd, "nowhere.service"),
    ];
    let numbered: Vec<(usize, &Supervised)> = services.iter().enumerate().collect();
    let probe = Probe {
        services: &numbered,
        ..Probe::default()
    };
    for (shell, seen) in seen(&probe) {
        assert!(seen.is_whole, "{shell}");
        let said = |n: usize| seen.services[&n].clone();
        let absent =
            "there is no service directory nowhere in /etc/service, /service or /var/service";
        assert_eq!(said(0), (1, absent.into()), "{shell}");
        assert!(
            said(1).0 == 1 && said(1).1.contains(at),
            "{shell}: {:?}",
            said(1)
        );
        assert_eq!(said(2).0, 1, "{shell}");
        assert!(
            said(2).1.contains("there is no service directory"),
            "{shell}"
        );
        assert_ne!(
            said(3).1,
            "",
            "{shell}: systemctl says something, there or not"
        );
    }
}
