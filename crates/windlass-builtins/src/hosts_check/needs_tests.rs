use std::collections::HashMap;

use super::*;
use crate::commands::control::ControlType;

fn host() -> HostName {
    HostName::new("app1")
}

fn told(found: &[Finding]) -> String {
    found
        .iter()
        .map(|f| format!("{} {}: {}\n", f.grade.word(), f.check.word(), f.message))
        .collect()
}

#[test]
fn sudo_comes_last_and_is_known() {
    let mut needs = Needs::of_any_host();
    assert_eq!((needs.steps().len(), needs.is_sudo(Some(1))), (1, false));
    needs.sudo = true;
    assert_eq!(needs.steps().len(), 2);
    assert!(needs.is_sudo(Some(1)) && !needs.is_sudo(Some(0)) && !needs.is_sudo(None));
    let Some(Step::Run(run)) = needs.steps().pop() else {
        panic!("no program");
    };
    assert_eq!(run.user, As::root());
}

#[test]
fn a_clock_is_compared_with_the_moments_around_it() {
    let said = |there: i64| {
        let seen = Seen {
            clock: Some(there),
            ..Seen::default()
        };
        clock(&host(), &seen, (1000, 1020)).map(|f| f.message)
    };
    assert_eq!(said(1010), None);
    assert_eq!(said(940), None);
    assert_eq!(said(1080), None);
    assert_eq!(said(939).as_deref(), Some("its clock is 61 s behind ours"));
    assert_eq!(
        said(1081).as_deref(),
        Some("its clock is 61 s ahead of ours")
    );
}

#[test]
fn tools_are_errors_or_notes() {
    let of = |missing: &[&str]| {
        let missing: Vec<String> = missing.iter().map(|m| (*m).to_owned()).collect();
        told(&tools(&host(), &missing))
    };
    assert_eq!(of(&[]), "");
    assert_eq!(of(&["unzip"]), "", "python3 does as well");
    assert_eq!(of(&["python3"]), "");
    insta::assert_snapshot!(of(&["tar", "sha256sum", "unzip", "zstd", "python3", "mv -T"]), @r"
    error tools: missing: tar, sha256sum
    note tools: missing: unzip, zstd; packages that need them cannot be unpacked there
    note tools: mv has no -T: where it has no -h either, a link is absent for a moment while it is changed
    ");
}

#[test]
fn a_file_system_is_told_of_once() {
    let mut needs = Needs::of_any_host();
    needs.write_to(["/opt/a", "/opt/b", "/srv"].map(str::to_owned).into());
    let line = |free: u64, mount: &str| {
        format!("/dev/sda1 1000000 {} {free} 9% {mount}", 1_000_000 - free)
    };
    let seen = Seen {
        space: HashMap::from([
            (0, line(100, "/opt")),
            (1, line(100, "/opt")),
            (2, line(0, "/")),
        ]),
        inodes: HashMap::from([(0, line(40_000, "/opt")), (2, "btrfs 0 0 0 - /".into())]),
        ..Seen::default()
    };
    insta::assert_snapshot!(told(&needs.disks(&host(), &seen)), @r"
    error disk: 0 KiB of 976 MiB (0 %) free on /, which holds /srv
    warning disk: 100 KiB of 976 MiB (0 %) free on /opt, which holds /opt/a and /opt/b
    warning disk: 40000 of 1000000 inodes (4 %) free on /opt, which holds /opt/a
    ");
}

#[test]
fn places_and_services_are_told_of() {
    let mut needs = Needs::of_any_host();
    needs.write_to(["/a/b", "/c", "/d"].map(str::to_owned).into());
    for (name, kind, sudo) in [
        ("shop", ControlType::Systemd, false),
        ("cart", ControlType::Systemd, false),
        ("mail", ControlType::Runit, false),
        ("root", ControlType::Runit, true),
    ] {
        needs.controlled.push(Controlled {
            service: name.into(),
            supervised: Supervised::new(kind, name).unwrap().unwrap(),
            sudo,
        });
    }
    let seen = probe::read(
        "place\t0\tclosed\t/a\nplace\t1\topen\t/c\nplace\t2\tfile\t/d\n\
         service\t0\t0\tLoadState=loaded\nservice\t1\t0\tLoadState=not-found\n\
         service\t2\t1\tthere is no service directory mail\nservice\t3\t1\tnot for us\n",
    );
    let mut found = needs.places(&host(), &seen);
    found.extend(needs.said_of_services(&host(), &seen, false));
    insta::assert_snapshot!(told(&found), @r"
    error permission: no permission to write in /a, where /a/b is to be
    error permission: /d is no directory
    error service: cart: systemd knows no unit cart
    error service: mail: there is no service directory mail
    ");
}

#[test]
fn a_program_that_ends_early_is_an_error() {
    let reply = Reply::Ran {
        status: 2,
        stdout: "clock\t7\n".into(),
        stderr: "sh: printf: not found\n".into(),
    };
    let fault = seen(&host(), &reply).unwrap_err();
    assert!(
        fault
            .message
            .ends_with("(exit status 2): sh: printf: not found")
    );
}
