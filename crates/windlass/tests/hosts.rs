//! `windlass hosts check` and `trust`, against real sshds and a real HAProxy.

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation does")]

mod support;

use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::{Place, Ran};
use windlass_testkit::sshd::{Sshd, SshdOptions, keygen};

/// A place with an ssh_config whose hosts `names` are this sshd; their known_hosts is the place's own, and empty.
fn place_of(sshd: &Sshd, names: &[&str]) -> Place {
    let place = Place::new();
    let known = place.at("known_hosts");
    let blocks: String = names
        .iter()
        .map(|name| {
            let block = sshd.host_block(name, "");
            let own = sshd.file("known_hosts").display().to_string();
            block.replace(&own, &known)
        })
        .collect();
    place.write("ssh_config", &blocks);
    place
}

fn hosts(place: &Place, arguments: &[&str]) -> Ran {
    let config = place.at("ssh_config");
    let mut all = vec!["hosts"];
    all.extend(arguments);
    all.extend(["--ssh-config", &config]);
    place.windlass(&all)
}

/// Without ports, addresses and fingerprints, which differ from run to run.
fn shown(place: &Place, ran: &Ran) -> String {
    let text = ran.shown(place);
    let words = text.split_inclusive([' ', '\n', '"', ')']).map(|word| {
        let bare = word.trim_end_matches([' ', '\n', '"', ')']);
        let end = &word[bare.len()..];
        if bare.starts_with("SHA256:") {
            format!("FINGERPRINT{end}")
        } else if bare.starts_with("127.0.0.1:") {
            format!("ADDRESS{end}")
        } else {
            word.to_owned()
        }
    });
    words.collect()
}

fn sshd() -> Sshd {
    Sshd::start(&SshdOptions::default()).unwrap()
}

#[test]
fn this_machine_is_fine() {
    let place = Place::new();
    let ran = place.windlass(&["hosts", "check", "--hosts", "local", "--quiet"]);
    assert_eq!(ran.expect(0).stdout, "");
    let ran = place
        .windlass(&["hosts", "check", "--hosts", "local"])
        .expect(0);
    assert!(ran.stdout.ends_with("ok: 1 host\n"), "{}", ran.stdout);
}

#[test]
fn hosts_that_cannot_be_reached_are_told_of_together() {
    let place = Place::new();
    place.write(
        "ssh_config",
        "Host a b c\n HostName 127.0.0.1\n Port 1\nHost d\n HostName no-such-name.invalid\n",
    );
    let ran = hosts(&place, &["check", "--hosts", "a", "b", "c", "local"]).expect(1);
    assert_eq!(
        ran.stdout,
        "error: link: a, b, c: its address refuses connections: is sshd running there?\nok: 1 host\n"
    );
    let ran = hosts(&place, &["check", "--hosts", "d", "--json"]).expect(1);
    let found: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let first = &found[0];
    assert_eq!(
        (
            &first["host"],
            &first["level"],
            &first["check"],
            &first["hint"]
        ),
        (&"d".into(), &"error".into(), &"link".into(), &"".into())
    );
    let message = first["message"].as_str().unwrap();
    assert!(message.contains("no such host name"), "{message}");
    let ran = hosts(&place, &["trust", "a", "--yes"]).expect(1);
    assert!(ran.stdout.starts_with("error: link: a: "), "{}", ran.stdout);
}

#[test]
fn a_key_is_shown_approved_replaced_and_refused() {
    let sshd = sshd();
    let place = place_of(&sshd, &["app1", "app2"]);
    let known = || fs::read_to_string(place.at("known_hosts")).unwrap_or_default();

    let check = || hosts(&place, &["check", "--hosts", "app1", "app2"]);
    insta::assert_snapshot!("unknown_key_checked", shown(&place, &check()));
    let ran = hosts(&place, &["trust", "app1", "app2"]);
    insta::assert_snapshot!("unknown_key_shown", shown(&place, &ran));
    assert_eq!(known(), "", "nobody said yes");
    let ran = hosts(&place, &["trust", "app1", "app2", "--yes"]);
    insta::assert_snapshot!("unknown_key_approved", shown(&place, &ran));
    assert_eq!(known(), without_comment(&sshd.known_line().unwrap()));
    let ran = check().expect(0);
    assert!(ran.stdout.ends_with("ok: 2 hosts\n"), "{}", ran.stdout);
    let ran = hosts(&place, &["trust", "app1"]).expect(0);
    assert_eq!(ran.stdout, "known: 1 host\n");

    let other = other_key(&place);
    let line = |mark: &str, key: &str| format!("{mark}[127.0.0.1]:{} {key}\n", sshd.port);
    let others = "# mine\nelsewhere ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKqP\n";
    place.write("known_hosts", &format!("{others}{}", line("", &other)));
    insta::assert_snapshot!("changed_key_checked", shown(&place, &check()));
    let ran = hosts(&place, &["trust", "app1", "app2"]);
    insta::assert_snapshot!("changed_key_shown", shown(&place, &ran));
    assert!(known().contains(&other));
    hosts(&place, &["trust", "app1", "--yes"]).expect(0);
    assert_eq!(
        known(),
        format!("{others}{}", without_comment(&sshd.known_line().unwrap()))
    );
    check().expect(0);

    let own = sshd.known_line().unwrap();
    let own = own.split_once(' ').unwrap().1.trim();
    let revoked = line("@revoked ", own);
    place.write("known_hosts", &revoked);
    let ran = hosts(&place, &["trust", "app1", "--yes"]);
    insta::assert_snapshot!("revoked_key_refused", shown(&place, &ran));
    assert_eq!(known(), revoked);
    let ran = check().expect(1);
    assert!(
        ran.stdout.contains("the host key is revoked by"),
        "{}",
        ran.stdout
    );
}

#[test]
fn an_old_key_in_another_file_stays_and_is_told_of() {
    let sshd = sshd();
    let place = place_of(&sshd, &["app1"]);
    let (own, second) = (place.at("known_hosts"), place.at("known_hosts2"));
    let config = fs::read_to_string(place.at("ssh_config")).unwrap();
    place.write(
        "ssh_config",
        &config.replace(&own, &format!("{own} {second}")),
    );
    let old = format!("[127.0.0.1]:{} {}\n", sshd.port, other_key(&place));
    place.write("known_hosts2", &old);
    let ran = hosts(&place, &["trust", "app1", "--yes"]);
    insta::assert_snapshot!("old_key_elsewhere", shown(&place, &ran));
    assert_eq!(fs::read_to_string(&second).unwrap(), old);
    hosts(&place, &["check", "--hosts", "app1"]).expect(0);
}

fn without_comment(line: &str) -> String {
    let words: Vec<&str> = line.split_whitespace().take(3).collect();
    format!("{}\n", words.join(" "))
}

fn other_key(place: &Place) -> String {
    keygen(&place.path().join("other")).unwrap();
    let public = fs::read_to_string(place.at("other.pub")).unwrap();
    without_comment(&public)
        .trim()
        .rsplit_once(' ')
        .unwrap()
        .0
        .to_owned()
}

#[test]
fn somebody_at_a_terminal_is_asked_once() {
    let sshd = sshd();
    let place = place_of(&sshd, &["app1"]);
    for (answer, status, trusted) in [("no", 1, false), ("yes", 0, true)] {
        // script(1) gives the program a terminal
        let line = format!(
            "{} hosts trust app1 --ssh-config {}",
            env!("CARGO_BIN_EXE_windlass"),
            place.at("ssh_config")
        );
        let mut child = Command::new("script")
            .args(["-qec", &line, "/dev/null"])
            .current_dir(place.path())
            .env("XDG_CACHE_HOME", place.path().join(".cache"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        writeln!(stdin, "{answer}").unwrap();
        let output = child.wait_with_output().unwrap();
        drop(stdin);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(status), "{said}");
        assert!(said.contains("new: app1: 127.0.0.1:"), "{said}");
        assert_eq!(said.matches("Write `yes`").count(), 1, "{said}");
        assert_eq!(place.path().join("known_hosts").exists(), trusted, "{said}");
    }
}

#[test]
fn a_user_who_is_not_let_in_is_told_of() {
    let sshd = sshd();
    let place = place_of(&sshd, &["app1", "app2"]);
    hosts(&place, &["trust", "app1", "--yes"]).expect(0);
    fs::write(sshd.file("authorized_keys"), "").unwrap();
    let ran = hosts(&place, &["check", "--hosts", "app1", "app2"]).expect(1);
    let said = ran
        .stdout
        .replace(&sshd.file("").display().to_string(), "SSHD/");
    assert!(
        said.starts_with("error: authentication: app1, app2: "),
        "{said}"
    );
    assert_eq!(said.lines().count(), 3, "{said}");
}

#[test]
fn hosts_behind_a_host_are_told_of() {
    let sshd = sshd();
    let place = place_of(&sshd, &["jump", "app1"]);
    let config = fs::read_to_string(place.at("ssh_config")).unwrap();
    place.write(
        "ssh_config",
        &format!("Host app1\n ProxyJump jump\n{config}"),
    );
    let ran = hosts(&place, &["trust", "app1", "--yes"]).expect(1);
    assert!(ran.stdout.contains("by way of jump"), "{}", ran.stdout);
    hosts(&place, &["trust", "jump", "--yes"]).expect(0);
    hosts(&place, &["trust", "app1", "--yes"]).expect(0);
    hosts(&place, &["check", "--hosts", "app1"]).expect(0);
}

/// An sshd for a user of these tests only, whose rights for sudo no other test changes.
fn sshd_of(user: &str) -> Sshd {
    let options = SshdOptions {
        user: user.into(),
        ..SshdOptions::default()
    };
    Sshd::start(&options).unwrap()
}

#[test]
fn all_that_a_config_needs_is_looked_at() {
    let sshd = sshd_of("windlass-check");
    let place = place_of(&sshd, &["app1", "app2"]);
    hosts(&place, &["trust", "app1", "--yes"]).expect(0);
    let open = tempfile::Builder::new()
        .prefix("wl-open-")
        .tempdir()
        .unwrap();
    allow_all(open.path());
    let open = open.path().display();
    place.write(
        "windlass.yaml",
        &format!(
            "platform: rolling
hostgroup: {{app: [app1, app2], spare: [local]}}
service_defaults: {{destination: {open}/tarballs, hosts: [app]}}
service:
  shop: {{install_location: {open}/webapps, control: {{runit: no-such-shop}}}}
  cart: {{install_location: /proc/webapps, control: {{start: a, stop: b, sudo: true}}}}
"
        ),
    );
    let ran = hosts(&place, &["check"]);
    let text = without_notes(&shown(&place, &ran)).replace(&open.to_string(), "OPEN");
    // as root, the user who logs in is another one, with no rights by sudo
    if windlass_testkit::sshd::is_root().unwrap() {
        insta::assert_snapshot!("config_checked", text);
    } else {
        assert!(text.contains("error: service: app1, app2: shop: there is no service directory"));
    }
    let ran = hosts(&place, &["check", "--hostgroups", "spare"]).expect(0);
    assert!(ran.stdout.ends_with("ok: 1 host\n"), "{}", ran.stdout);
    let ran = hosts(&place, &["check", "--hostgroups", "spar"]).expect(2);
    assert!(
        ran.stderr.contains("did you mean `spare`?"),
        "{}",
        ran.stderr
    );
}

/// A rule for sudo, until it is dropped.
struct Sudoers(String);

impl Drop for Sudoers {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn sudo_is_tried_with_the_password_of_the_config() {
    if !windlass_testkit::sshd::is_root().unwrap() {
        return;
    }
    let sshd = sshd_of("windlass-asked");
    let set = "printf 'windlass-asked:open sesame\n' | chpasswd";
    assert!(
        Command::new("sh")
            .args(["-c", set])
            .status()
            .unwrap()
            .success()
    );
    let rule = Sudoers(format!(
        "/etc/sudoers.d/windlass-asked-{}",
        std::process::id()
    ));
    let text = "windlass-asked ALL=(ALL) ALL\nDefaults:windlass-asked timestamp_timeout=0\n";
    fs::write(&rule.0, text).unwrap();
    let place = place_of(&sshd, &["app1"]);
    hosts(&place, &["trust", "app1", "--yes"]).expect(0);
    place.write("password", "open sesame\n");
    place.write("wrong", "close sesame\n");
    let check = |more: &str| {
        place.write(
            "windlass.yaml",
            &format!(
                "platform: rolling\nhostgroup: {{app: [app1]}}\n{more}service_defaults: \
                 {{destination: /tmp, install_location: /tmp}}\n\
                 service: {{shop: {{hosts: [app], control: {{start: a, stop: b, sudo: true}}}}}}\n"
            ),
        );
        let ran = hosts(&place, &["check"]);
        (ran.status, without_notes(&ran.stdout))
    };
    let password = |file: &str| format!("sudo_password: !file {}\n", place.at(file));
    assert_eq!(check(&password("password")), (0, "ok: 1 host\n".into()));
    let (status, said) = check(&password("wrong"));
    assert!(
        status == 1 && said.starts_with("error: sudo: app1: "),
        "{said}"
    );
    assert!(
        said.contains("the password is wrong") && !said.contains("sesame"),
        "{said}"
    );
    let (status, said) = check("");
    assert!(
        status == 1 && said.contains("a password is required"),
        "{said}"
    );
}

fn allow_all(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
}

fn without_notes(text: &str) -> String {
    let lines = text
        .lines()
        .filter(|line| !line.starts_with("note: ") && !line.starts_with("warning: disk: "));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn servers_of_haproxy_are_looked_at() {
    let place = Place::new();
    place.write(
        "haproxy.cfg",
        "global\n stats socket @DIR@/admin level admin\n stats socket @DIR@/user level user\n\
         defaults\n mode tcp\n timeout connect 1s\n timeout client 2s\n timeout server 2s\n\
         backend web\n server app1 127.0.0.1:1\n server app2 127.0.0.1:1 check\n\
         server app4 127.0.0.1:1 check disabled\n",
    );
    let _haproxy = Running::start("haproxy", &["-db", "-f", &place.at("haproxy.cfg")]);
    let begun = Instant::now();
    while !place.path().join("admin").exists() && begun.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(500));
    place.write("ssh_config", "Host *\n HostName 127.0.0.1\n Port 1\n");
    let config = |socket: &str, server: &str| {
        place.write(
            "windlass.yaml",
            &format!(
                "platform: rolling
hostgroup: {{app: {{hosts: [app1, app2, app3, app4], lb: lb}}}}
lb: {{lb: {{type: haproxy, host: local, socket: @DIR@/{socket}}}}}
service: {{shop: {{hosts: [app], lb_service: \"{server}\"}}}}
"
            ),
        );
        let ran = hosts(&place, &["check"]).expect(1);
        let lines = ran.stdout.lines().filter(|line| !line.contains(": link: "));
        let lines: String = lines.map(|line| format!("{line}\n")).collect();
        without_notes(&place.normal(&lines))
    };
    insta::assert_snapshot!("haproxy_admin", config("admin", "web/{host}"));
    insta::assert_snapshot!("haproxy_no_backend", config("admin", "shop/{host}"));
    insta::assert_snapshot!("haproxy_user", config("user", "web/app2"));
    insta::assert_snapshot!("haproxy_no_socket", config("nowhere", "web/app2"));
}

struct Running(Child);

impl Running {
    fn start(program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
