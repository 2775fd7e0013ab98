//! Verdicts on host keys, beside those of OpenSSH's own client and ssh-keygen.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use russh::keys::{Certificate, PublicKey};
use windlass_builtins::hosts::ssh::known_hosts::{KnownHosts, Verdict, append, line_for, replace};

/// Keys of hosts, and certificates for them, made by ssh-keygen.
struct Keys {
    dir: tempfile::TempDir,
}

impl Keys {
    fn new() -> Self {
        let keys = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        for name in ["ed1", "ed2", "ca", "otherca"] {
            keys.keygen(&[
                "-t",
                "ed25519",
                "-N",
                "",
                "-C",
                name,
                "-f",
                &keys.path(name),
            ]);
        }
        keys.keygen(&[
            "-t",
            "rsa",
            "-b",
            "2048",
            "-N",
            "",
            "-f",
            &keys.path("rsa1"),
        ]);
        keys.keygen(&[
            "-t",
            "ecdsa",
            "-b",
            "256",
            "-N",
            "",
            "-f",
            &keys.path("ec256"),
        ]);
        keys.keygen(&[
            "-t",
            "ecdsa",
            "-b",
            "384",
            "-N",
            "",
            "-f",
            &keys.path("ec384"),
        ]);
        keys
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn keygen(&self, args: &[&str]) -> String {
        let out = Command::new("ssh-keygen")
            .args(args)
            .output()
            .expect("openssh-client is installed");
        format!(
            "{}{}",
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        )
    }

    /// `kind base64`
    fn text(&self, name: &str) -> String {
        let text = fs::read_to_string(self.path(&format!("{name}.pub"))).unwrap();
        text.split(' ')
            .take(2)
            .collect::<Vec<_>>()
            .join(" ")
            .trim()
            .to_owned()
    }

    fn key(&self, name: &str) -> PublicKey {
        PublicKey::from_openssh(&self.text(name)).unwrap()
    }

    /// A certificate for the key `ed1`; `more` are ssh-keygen's options.
    fn certificate(&self, authority: &str, more: &[&str]) -> Certificate {
        let key = self.path("ed1.pub");
        let ca = self.path(authority);
        let mut args = vec!["-s", &ca, "-I", "id"];
        args.extend(more);
        args.push(&key);
        self.keygen(&args);
        Certificate::from_openssh(&fs::read_to_string(self.path("ed1-cert.pub")).unwrap()).unwrap()
    }

    /// `@name` in `text` stands for that key.
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let mut text = text.to_owned();
        for key in ["ed1", "ed2", "otherca", "ca", "rsa1", "ec256", "ec384"] {
            text = text.replace(&format!("<{key}>"), &self.text(key));
        }
        let file = self.dir.path().join(name);
        fs::write(&file, text).unwrap();
        file
    }
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Known => "known",
        Verdict::Unknown => "unknown",
        Verdict::Changed { .. } => "changed",
        Verdict::Revoked { .. } => "revoked",
    }
}

/// What OpenSSH's client makes of a real sshd that shows this key; the two are joined by a pipe.
fn openssh(
    keys: &Keys,
    known_hosts: &Path,
    host: &str,
    port: u16,
    key: &str,
    certificate: bool,
) -> &'static str {
    let mut server = format!(
        "/usr/sbin/sshd -i -f /dev/null -o HostKey={}",
        keys.path(key)
    );
    if certificate {
        server += &format!(
            " -o HostCertificate={}",
            keys.path(&format!("{key}-cert.pub"))
        );
    }
    let out = Command::new("ssh")
        .args([
            "-F",
            "/dev/null",
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            "BatchMode=yes",
        ])
        .args([
            "-o",
            "PreferredAuthentications=none",
            "-o",
            "GlobalKnownHostsFile=none",
        ])
        .args([
            "-o",
            &format!("UserKnownHostsFile={}", known_hosts.display()),
        ])
        .args([
            "-o",
            &format!("ProxyCommand={server}"),
            "-p",
            &port.to_string(),
            "--",
            host,
            "true",
        ])
        .output()
        .expect("openssh-client is installed");
    let said = String::from_utf8_lossy(&out.stderr);
    match said {
        said if said.contains("REVOKED") => "revoked",
        said if said.contains("IDENTIFICATION HAS CHANGED") => "changed",
        said if said.contains("host key is known for") => "unknown",
        said if said.contains("Permission denied") => "known",
        said => panic!("ssh says: {said}"),
    }
}

fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

#[test]
fn verdicts_are_those_of_openssh() {
    let keys = Keys::new();
    if is_root() {
        // Where sshd, run by root, looks.
        fs::create_dir_all("/run/sshd").unwrap();
    }
    let plain = "# comment\n\nweb1,10.0.0.7 <ed1> somebody@somewhere\nweb2 <ed2>\nWEB3 <ed1>\n";
    for (text, host, port, key) in [
        (plain, "web1", 22, "ed1"),
        (plain, "10.0.0.7", 22, "ed1"),
        (plain, "Web1", 22, "ed1"),
        (plain, "web3", 22, "ed1"),
        (plain, "web2", 22, "ed1"),
        (plain, "web4", 22, "ed1"),
        (plain, "web1", 22, "rsa1"),
        (plain, "web1", 2222, "ed1"),
        (plain, "web2", 2222, "ed1"),
        ("[web1]:2222 <ed1>\n", "web1", 2222, "ed1"),
        ("[web1]:2222 <ed1>\n", "web1", 22, "ed1"),
        ("[web1]:2222 <ed2>\nweb1 <ed1>\n", "web1", 2222, "ed1"),
        ("[*.example.com]:2222 <ed1>\n", "a.example.com", 2222, "ed1"),
        (
            "*.example.com,!bad.example.com <ed1>\n",
            "good.example.com",
            22,
            "ed1",
        ),
        (
            "*.example.com,!bad.example.com <ed1>\n",
            "bad.example.com",
            22,
            "ed1",
        ),
        ("web? <ed2>\n", "web1", 22, "ed1"),
        ("web1 <ec256>\n", "web1", 22, "ec256"),
        ("web1 <ec256>\n", "web1", 22, "ec384"),
        ("web1 <ed2>\nweb1 <ed1>\n", "web1", 22, "ed1"),
        ("web1 <rsa1>\n", "web1", 22, "rsa1"),
        ("@revoked * <ed1>\nweb1 <ed1>\n", "web1", 22, "ed1"),
        ("web1 <ed1>\n@revoked web1 <ed1>\n", "web1", 22, "ed1"),
        ("web1 <ed1>\n@revoked web2 <ed1>\n", "web1", 22, "ed1"),
        ("@cert-authority * <ca>\n", "web1", 22, "ed1"),
        ("@cert-authority * <ed1>\n", "web1", 22, "ed1"),
        (
            "nonsense\nweb1 ssh-ed25519 AAAA\nweb1 <ed1>\n@odd web1 <ed2>\n",
            "web1",
            22,
            "ed1",
        ),
        ("\tweb1\t<ed1>\r\n", "web1", 22, "ed1"),
    ] {
        let file = keys.file("known", text);
        for hash in [false, true] {
            if hash {
                keys.keygen(&["-H", "-f", file.to_str().unwrap()]);
            }
            let known = KnownHosts::load(std::slice::from_ref(&file)).unwrap();
            let ours = known.check(host, port, &keys.key(key));
            let theirs = openssh(&keys, &file, host, port, key, false);
            assert_eq!(
                word(&ours),
                theirs,
                "{text}\nhashed {hash}, {host} {port} {key}"
            );
        }
    }
}

#[test]
fn certificates_are_judged_as_openssh_judges_them() {
    let keys = Keys::new();
    if is_root() {
        fs::create_dir_all("/run/sshd").unwrap();
    }
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let trusted = "@cert-authority *.example.com,web1 <ca>\n";
    for (text, authority, options) in [
        (trusted, "ca", &["-h", "-n", "web1,x", "-V", "-1h:+1h"][..]),
        (trusted, "ca", &["-h", "-n", "web1"]),
        (trusted, "ca", &["-h", "-n", "other"]),
        (trusted, "ca", &["-h", "-n", "*"]),
        (trusted, "ca", &["-h", "-n", "web1", "-V", "-2h:-1h"]),
        (trusted, "ca", &["-h", "-n", "web1", "-V", "+1h:+2h"]),
        (trusted, "otherca", &["-h", "-n", "web1"]),
        ("@cert-authority web2 <ca>\n", "ca", &["-h", "-n", "web1"]),
        (
            "@cert-authority web1 <ca>\n@revoked * <ca>\n",
            "ca",
            &["-h", "-n", "web1"],
        ),
        (
            "@cert-authority web1 <ca>\n@revoked * <ed1>\n",
            "ca",
            &["-h", "-n", "web1"],
        ),
        ("web1 <ed1>\n", "ca", &["-h", "-n", "web1"]),
        ("web1 <ed2>\n", "otherca", &["-h", "-n", "web1"]),
        ("web1 <ca>\n", "ca", &["-h", "-n", "web1"]),
    ] {
        let certificate = keys.certificate(authority, options);
        let file = keys.file("known", text);
        let known = KnownHosts::load(std::slice::from_ref(&file)).unwrap();
        let ours = known.check_certificate("web1", 22, &certificate, now);
        let theirs = openssh(&keys, &file, "web1", 22, "ed1", true);
        assert_eq!(word(&ours), theirs, "{text} {authority} {options:?}");
    }
    // sshd itself refuses to show a user's certificate.
    let file = keys.file("known", trusted);
    let known = KnownHosts::load(&[file]).unwrap();
    let user = keys.certificate("ca", &["-n", "web1"]);
    assert_eq!(
        known.check_certificate("web1", 22, &user, now),
        Verdict::Unknown
    );
    let good = keys.certificate("ca", &["-h", "-n", "web1", "-V", "-1h:+1h"]);
    assert_eq!(
        known.check_certificate("web1", 2222, &good, now),
        Verdict::Known
    );
    assert_eq!(
        known.check_certificate("web1", 22, &good, now + 7200),
        Verdict::Unknown
    );
    assert!(known.has_authority("a.example.com", 22) && !known.has_authority("web2", 22));
}

#[test]
fn names_are_found_where_ssh_keygen_finds_them() {
    let keys = Keys::new();
    let text = "web1,web2 <ed1>\n*.example.com,!x.example.com <ed2>\n[web1]:2222 <rsa1>\n@revoked web? <ec256>\n10.0.?.7 <ec384>\n";
    let file = keys.file("known", text);
    for hash in [false, true] {
        if hash {
            keys.keygen(&["-H", "-f", file.to_str().unwrap()]);
        }
        let known = KnownHosts::load(std::slice::from_ref(&file)).unwrap();
        for (host, port) in [
            ("web1", 22),
            ("web2", 22),
            ("web1", 2222),
            ("a.example.com", 22),
            ("x.example.com", 22),
            ("10.0.1.7", 22),
            ("no", 22),
        ] {
            let name = if port == 22 {
                host.to_owned()
            } else {
                format!("[{host}]:{port}")
            };
            let said = keys.keygen(&["-F", &name, "-f", file.to_str().unwrap()]);
            for key in ["ed1", "ed2", "rsa1", "ec256", "ec384"] {
                let theirs = said.contains(&keys.text(key));
                let ours = matches!(
                    known.check(host, port, &keys.key(key)),
                    Verdict::Known | Verdict::Revoked { .. }
                );
                // OpenSSH's client, not ssh-keygen, also takes a key of the name without the port.
                let ours = ours && !(port != 22 && key != "rsa1");
                assert_eq!(ours, theirs, "hashed {hash} {name} {key}: {said}");
            }
        }
    }
}

#[test]
fn verdicts_name_file_and_line_and_odd_lines_are_noted() {
    let keys = Keys::new();
    let first = keys.file("first", "# c\nrubbish\nweb1 <rsa1>\n");
    let second = keys.file(
        "second",
        "\nweb1 <ed2>\n@revoked web1 <ec256>\n|1|x|y <ed1>\n",
    );
    let known =
        KnownHosts::load(&[first.clone(), "/nowhere/at/all".into(), second.clone()]).unwrap();
    let changed = known.check("web1", 22, &keys.key("ed1"));
    assert_eq!(
        changed,
        Verdict::Changed {
            file: second.clone(),
            line: 2
        }
    );
    let revoked = known.check("web1", 22, &keys.key("ec256"));
    assert_eq!(
        revoked,
        Verdict::Revoked {
            file: second.clone(),
            line: 3
        }
    );
    assert_eq!(known.notes().len(), 2);
    assert!(
        known.notes()[0].starts_with(&format!("{}:2: ", first.display())),
        "{:?}",
        known.notes()
    );
    assert!(
        known.notes()[1].starts_with(&format!("{}:4: ", second.display())),
        "{:?}",
        known.notes()
    );
    assert_eq!(
        known.algorithms("web1", 22),
        ["rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519"]
    );
    assert!(known.algorithms("web9", 22).is_empty());
}

#[test]
fn lines_are_added_once_to_a_file_of_the_user_alone() {
    let keys = Keys::new();
    let file = keys.dir.path().join("home/.ssh/known_hosts");
    let lines = vec![
        line_for("Web1", 22, &keys.key("ed1")),
        line_for("::1", 2222, &keys.key("rsa1")),
    ];
    assert_eq!(append(&file, &lines).unwrap(), 2);
    assert_eq!(append(&file, &lines).unwrap(), 0);
    let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(
        text,
        format!(
            "web1 {}\n[::1]:2222 {}\n",
            keys.text("ed1"),
            keys.text("rsa1")
        )
    );

    fs::write(&file, text.trim_end()).unwrap();
    assert_eq!(
        append(&file, &[line_for("web2", 22, &keys.key("ed2"))]).unwrap(),
        1
    );
    let known = KnownHosts::load(std::slice::from_ref(&file)).unwrap();
    assert!(known.notes().is_empty());
    for (host, port, key) in [
        ("web1", 22, "ed1"),
        ("::1", 2222, "rsa1"),
        ("web2", 22, "ed2"),
    ] {
        assert_eq!(known.check(host, port, &keys.key(key)), Verdict::Known);
    }
    for host in ["a b", "*", "a\nb", "", "!a"] {
        assert!(
            append(&file, &[line_for(host, 22, &keys.key("ed1"))]).is_err(),
            "{host:?}"
        );
    }
}

#[test]
fn many_writers_lose_no_line() {
    let keys = Keys::new();
    let file = keys.dir.path().join("known");
    let key = keys.key("ed1");
    std::thread::scope(|s| {
        for i in 0..8 {
            let (file, key) = (&file, &key);
            s.spawn(move || {
                (0..5).for_each(|j| {
                    append(file, &[line_for(&format!("h{i}-{j}"), 22, key)]).unwrap();
                    replace(
                        file,
                        &format!("h{i}-{j}"),
                        22,
                        &[line_for(&format!("r{i}-{j}"), 22, key)],
                    )
                    .unwrap();
                })
            });
        }
    });
    assert_eq!(
        fs::read_to_string(&file)
            .unwrap()
            .lines()
            .filter(|l| l.starts_with('r'))
            .count(),
        40
    );
}

#[test]
fn a_changed_key_is_approved_for_its_host_alone() {
    let keys = Keys::new();
    let text =
        "# mine\nweb1,web2 <ed1>\nweb1 <rsa1> c\nweb* <ec256>\n@revoked web1 <ec384>\nweb3 <ed1>\n";
    let file = keys.file("known", text);
    let link = keys.dir.path().join("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    assert_eq!(
        replace(&link, "web1", 22, &[line_for("web1", 22, &keys.key("ed2"))]).unwrap(),
        3
    );
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let wanted = keys.file(
        "wanted",
        "# mine\nweb2 <ed1>\nweb*,!web1 <ec256>\n@revoked web1 <ec384>\nweb3 <ed1>\nweb1 <ed2>\n",
    );
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        fs::read_to_string(wanted).unwrap()
    );

    keys.keygen(&["-H", "-f", file.to_str().unwrap()]);
    assert_eq!(
        replace(
            &file,
            "web3",
            22,
            &[line_for("web3", 22, &keys.key("rsa1"))]
        )
        .unwrap(),
        2
    );
    let known = KnownHosts::load(&[file]).unwrap();
    assert_eq!(known.check("web3", 22, &keys.key("rsa1")), Verdict::Known);
    assert_eq!(word(&known.check("web3", 22, &keys.key("ed1"))), "changed");
    assert_eq!(known.check("web2", 22, &keys.key("ed1")), Verdict::Known);
}
