//! unpack: archives good and hostile, with GNU tar and busybox's, under every shell.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Command as Process;

use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};
use windlass_model::outcome::Outcome;

use crate::machine::{Machine, on_all};

/// An entry of an archive, as hostile as one likes: nothing about its name is checked.
fn entry(tar: &mut Builder<Vec<u8>>, kind: EntryType, name: &str, link: &str, text: &str) {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    let old = header.as_old_mut();
    old.name[..name.len()].copy_from_slice(name.as_bytes());
    old.linkname[..link.len()].copy_from_slice(link.as_bytes());
    let is_dir = kind == EntryType::Directory;
    header.set_mode(if is_dir { 0o755 } else { 0o644 });
    header.set_mtime(1_600_000_000);
    header.set_size(text.len() as u64);
    header.set_device_major(1).unwrap();
    header.set_device_minor(3).unwrap();
    header.set_cksum();
    tar.append(&header, text.as_bytes()).unwrap();
}

fn file(tar: &mut Builder<Vec<u8>>, name: &str, text: &str) {
    entry(tar, EntryType::Regular, name, "", text);
}

fn link(tar: &mut Builder<Vec<u8>>, name: &str, target: &str) {
    entry(tar, EntryType::Symlink, name, target, "");
}

fn dir(tar: &mut Builder<Vec<u8>>, name: &str) {
    entry(tar, EntryType::Directory, name, "", "");
}

fn made(fill: impl FnOnce(&mut Builder<Vec<u8>>)) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    fill(&mut tar);
    tar.into_inner().unwrap()
}

/// A release with all that may be in one.
fn good() -> Vec<u8> {
    made(|tar| {
        dir(tar, "shop-1.0/");
        dir(tar, "shop-1.0/bin/");
        entry(
            tar,
            EntryType::Regular,
            "shop-1.0/bin/run",
            "",
            "#!/bin/sh\n",
        );
        file(tar, "shop-1.0/it's $HOME -> x", "odd");
        file(tar, "shop-1.0/ünï \\ back", "odd");
        file(tar, "shop-1.0/.hidden", "h");
        file(tar, "shop-1.0/..two", "h");
        file(tar, "shop-1.0/lib/a/b/x", "x");
        link(tar, "shop-1.0/lib/a/up", "../../bin/run");
        link(tar, "shop-1.0/current", "lib/a");
        link(tar, "shop-1.0/dangling", "nowhere/yet");
        link(tar, "shop-1.0/here", ".");
        entry(
            tar,
            EntryType::Link,
            "shop-1.0/lib/same",
            "shop-1.0/lib/a/b/x",
            "",
        );
    })
}

fn good_tree(prefix: &str) -> Vec<String> {
    let mut tree: Vec<String> = [
        "..two",
        ".hidden",
        "bin/",
        "bin/run",
        "current -> lib/a",
        "dangling -> nowhere/yet",
        "here -> .",
        "it's $HOME -> x",
        "lib/",
        "lib/a/",
        "lib/a/b/",
        "lib/a/b/x",
        "lib/a/up -> ../../bin/run",
        "lib/same",
        "ünï \\ back",
    ]
    .iter()
    .map(|path| format!("{prefix}{path}"))
    .collect();
    tree.sort();
    tree
}

fn piped(program: &str, args: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let mut child = Process::new(program)
        .args(args)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take().unwrap().write_all(input).unwrap();
    let out = child.wait_with_output().unwrap();
    out.status.success().then_some(out.stdout)
}

fn args(m: &Machine, archive: &str, to: &str) -> Value {
    json!({"source": m.at(archive), "destination": m.at(to)})
}

#[test]
fn an_archive_is_unpacked_in_each_format() {
    on_all(|m| {
        let tar = good();
        let mut formats = vec![("a.tar", tar.clone()), ("plain", tar.clone())];
        for (name, program) in [
            ("a.tar.gz", "gzip"),
            ("a.tgz", "gzip"),
            ("a.tar.bz2", "bzip2"),
            ("a.tar.xz", "xz"),
            ("a.tar.zst", "zstd"),
            ("by-its-bytes", "gzip"),
            ("by-its-bytes-too", "xz"),
        ] {
            if let Some(packed) = piped(program, &["-c"], &tar) {
                formats.push((name, packed));
            }
        }
        for (name, packed) in formats {
            m.write(name, packed);
            if name == "a.tar.zst" && m.is_busybox() {
                let said = m.fails("unpack", args(m, name, "to/dir"));
                assert!(said.contains("this host has no zstd"), "{said}");
                assert!(!m.has("to/dir"));
                continue;
            }
            let outcome = m.run("unpack", args(m, name, "to/dir"));
            assert_eq!(outcome, Outcome::Changed, "{name}");
            let mut tree = good_tree("shop-1.0/");
            tree.insert(0, "shop-1.0/".into());
            assert_eq!(m.tree("to/dir"), tree, "{name}");
            assert_eq!(m.read("to/dir/shop-1.0/current/b/x"), "x");
            fs::remove_dir_all(m.at("to")).unwrap();
        }
    });
}

#[test]
fn leading_directories_are_stripped() {
    on_all(|m| {
        m.write("a.tar", good());
        for strip in [json!(1), json!("single")] {
            let mut args = args(m, "a.tar", "to");
            args["strip"] = strip;
            assert_eq!(m.run("unpack", args.clone()), Outcome::Changed);
            assert_eq!(m.tree("to"), good_tree(""));
            // again, into what is there
            assert_eq!(m.run("unpack", args), Outcome::Changed);
            assert_eq!(m.tree("to"), good_tree(""));
            fs::remove_dir_all(m.at("to")).unwrap();
        }
        let flat = made(|tar| {
            file(tar, "x", "");
            file(tar, "d/y", "");
        });
        m.write("flat.tar", flat);
        let mut single = args(m, "flat.tar", "to");
        single["strip"] = "single".into();
        m.run("unpack", single.clone());
        assert_eq!(m.tree("to"), ["d/", "d/y", "x"]);
        single["strip"] = 2.into();
        let said = m.fails("unpack", single);
        assert!(said.contains("nothing is left"), "{said}");
    });
}

#[test]
fn an_existing_directory_takes_the_entries_and_keeps_its_own() {
    on_all(|m| {
        m.write("to/own", "own");
        m.write("to/lib/a/own", "own");
        fs::set_permissions(m.at("to"), fs::Permissions::from_mode(0o750)).unwrap();
        m.write("a.tar", good());
        let mut args = args(m, "a.tar", "to");
        args["strip"] = 1.into();
        assert_eq!(m.run("unpack", args.clone()), Outcome::Changed);
        assert_eq!(m.mode("to"), 0o750);
        assert_eq!(m.read("to/lib/a/own"), "own");
        assert_eq!(m.read("to/lib/a/b/x"), "x");

        // A link where the archive has a directory is not gone through.
        fs::remove_dir_all(m.at("to")).unwrap();
        fs::create_dir_all(m.at("to")).unwrap();
        fs::create_dir(m.at("outside")).unwrap();
        m.link("to/lib", "../outside");
        let said = m.fails("unpack", args.clone());
        assert!(said.contains("symbolic link"), "{said}");
        assert_eq!(m.tree("to"), ["lib -> ../outside"]);
        assert!(m.tree("outside").is_empty());

        // A link where the archive has a file is replaced itself.
        fs::remove_file(m.at("to/lib")).unwrap();
        m.write("victim", "victim");
        m.link("to/.hidden", "../victim");
        assert_eq!(m.run("unpack", args), Outcome::Changed);
        assert_eq!(
            (m.read("victim"), m.read("to/.hidden")),
            ("victim".into(), "h".into())
        );
    });
}

#[test]
fn a_broken_archive_leaves_nothing_behind() {
    on_all(|m| {
        let tar = good();
        let packed = piped("gzip", &["-c"], &tar).unwrap();
        m.write("cut.tar.gz", &packed[..packed.len() / 2]);
        m.write("cut.tar", &tar[..1540]);
        m.write("empty.tar", "");
        m.write("text.tar", "no archive at all\n".repeat(100));
        m.write("text.zip", "no archive at all\n".repeat(100));
        m.write("text", "no archive at all\n");
        m.write("lies.tar.gz", &tar);
        for name in [
            "cut.tar.gz",
            "cut.tar",
            "empty.tar",
            "text.tar",
            "text.zip",
            "text",
            "lies.tar.gz",
            "none",
        ] {
            let said = m.fails("unpack", args(m, name, "to"));
            assert!(said.starts_with("cannot unpack"), "{said}");
            assert!(said.contains(name), "{said}");
            assert!(!m.has("to"), "{name}");
        }
    });
}

#[test]
fn nothing_leaves_the_destination() {
    type Fill = fn(&mut Builder<Vec<u8>>);
    let hostile: &[(&str, Fill)] = &[
        ("climbs", |tar| file(tar, "../evil", "evil")),
        ("climbs within", |tar| file(tar, "a/../../evil", "evil")),
        ("climbs at the end", |tar| dir(tar, "a/../..")),
        ("is absolute", |tar| file(tar, "/tmp/windlass-evil", "evil")),
        ("goes through a link", |tar| {
            link(tar, "l", "..");
            file(tar, "l/evil", "evil");
        }),
        ("goes through an absolute link", |tar| {
            link(tar, "l", "/tmp");
            file(tar, "l/windlass-evil", "evil");
        }),
        ("goes through a chain of links", |tar| {
            file(tar, "a/b/x", "");
            link(tar, "a/b/up", "../..");
            link(tar, "out", "a/b/up/../evil");
        }),
        ("replaces a link by a file", |tar| {
            link(tar, "l", "../victim");
            file(tar, "l", "evil");
        }),
        ("links absolutely", |tar| {
            link(tar, "d/passwd", "/etc/passwd")
        }),
        ("links a level too high", |tar| {
            link(tar, "d/l", "../../victim")
        }),
        ("links past the top", |tar| link(tar, "l", "d/../../victim")),
        ("hides a link behind an arrow", |tar| {
            link(tar, "a -> b", "/etc -> b")
        }),
        ("hard-links outside", |tar| {
            entry(tar, EntryType::Link, "h", "../victim", "");
        }),
        ("hard-links absolutely", |tar| {
            entry(tar, EntryType::Link, "h", "/etc/passwd", "");
        }),
        ("hard-links to a link outside", |tar| {
            link(tar, "l", "../victim");
            entry(tar, EntryType::Link, "h", "l", "");
        }),
        ("makes a device", |tar| {
            entry(tar, EntryType::Char, "null", "", "")
        }),
        ("makes a disk", |tar| {
            entry(tar, EntryType::Block, "disk", "", "")
        }),
        ("makes a pipe", |tar| {
            entry(tar, EntryType::Fifo, "pipe", "", "")
        }),
        ("breaks lines", |tar| file(tar, "a\n../evil", "evil")),
        ("rings", |tar| file(tar, "a\u{7}b", "evil")),
    ];
    on_all(|m| {
        for (what, fill) in hostile {
            m.write("victim", "victim");
            let before = fs::metadata(m.at("victim")).unwrap();
            m.write(
                "evil.tar",
                made(|tar| {
                    file(tar, "innocent", "");
                    fill(tar);
                }),
            );
            for to in ["new", "to/old"] {
                m.write("to/old/own", "");
                let said = m.fails("unpack", args(m, "evil.tar", to));
                eprintln!("{what}: {said}");
                assert!(said.contains("refused"), "{what}: {said}");
                assert!(!m.has("new"), "{what}");
                assert_eq!(
                    m.tree(""),
                    ["evil.tar", "to/", "to/old/", "to/old/own", "victim"],
                    "{what}"
                );
            }
            let after = fs::metadata(m.at("victim")).unwrap();
            assert_eq!((after.ino(), after.nlink()), (before.ino(), 1), "{what}");
            assert_eq!(m.read("victim"), "victim", "{what}");
            assert!(fs::metadata("/tmp/windlass-evil").is_err(), "{what}");
        }
    });
}

#[test]
fn what_a_careless_tar_made_is_looked_at_again() {
    on_all(|m| {
        m.write("victim", "victim");
        m.write("a.tar", "any");
        for (what, because) in [
            ("ln ../../victim h", "hard link"),
            ("ln -s ../../victim l", "a link"),
            ("mkdir d; ln -s ../.. d/l", "a link"),
            ("mkdir d; ln -s ../e/../x d/l", "a link"),
            ("ln -s d//../../x l", "a link"),
            ("mkfifo p", "a device or a pipe"),
            ("mkdir 'a\tb'", "control character"),
        ] {
            // Says to be GNU's, lists an innocent file; unpacks what nobody listed. Its arguments: -xof - -C DIR.
            m.fake(
                "tar",
                &format!("case $1 in --version) echo GNU;; -tf) echo x;; -tvf) echo '-rw 0/0 0 1970-01-01 00:00 x';; *) cd \"$4\" && {what};; esac"),
            );
            let said = m.fails("unpack", args(m, "a.tar", "to"));
            assert!(
                said.contains("refused") && said.contains(because),
                "{what}: {said}"
            );
            assert_eq!(m.tree(""), ["a.tar", "victim"], "{what}");
        }
        m.fake("tar", "case $1 in --version) echo GNU;; -tf) echo x;; -tvf) echo '-rw 0/0 0 1970-01-01 00:00 x';; *) cd \"$4\" && ln -s ./d/e x;; esac");
        assert_eq!(m.run("unpack", args(m, "a.tar", "to")), Outcome::Changed);
    });
}

#[test]
fn stripping_does_not_let_links_out() {
    on_all(|m| {
        m.write(
            "evil.tar",
            made(|tar| {
                link(tar, "top/l", "../evil");
                file(tar, "evil", "");
            }),
        );
        assert_eq!(
            m.run("unpack", args(m, "evil.tar", "whole")),
            Outcome::Changed
        );
        let mut args = args(m, "evil.tar", "to");
        args["strip"] = 1.into();
        let said = m.fails("unpack", args);
        assert!(said.contains("refused"), "{said}");
        assert!(!m.has("to"));
    });
}

#[test]
fn set_user_bits_are_dropped_and_closed_directories_opened() {
    on_all(|m| {
        m.write(
            "a.tar",
            made(|tar| {
                for (name, kind, mode) in [
                    ("d/", EntryType::Directory, 0o555),
                    ("d/su", EntryType::Regular, 0o6755),
                ] {
                    let mut header = Header::new_gnu();
                    header.set_path(name).unwrap();
                    header.set_entry_type(kind);
                    header.set_mode(mode);
                    header.set_size(0);
                    header.set_cksum();
                    tar.append(&header, &[][..]).unwrap();
                }
            }),
        );
        assert_eq!(m.run("unpack", args(m, "a.tar", "to")), Outcome::Changed);
        assert_eq!((m.mode("to/d"), m.mode("to/d/su")), (0o755, 0o755));
    });
}

/// A zip, by Python: the only tool that makes hostile ones.
fn zip(m: &Machine, entries: &str) -> bool {
    let program = format!(
        "import sys, zipfile\n\
         z = zipfile.ZipFile(sys.argv[1], 'w')\n\
         for name, mode, text in {entries}:\n\
         \x20   info = zipfile.ZipInfo(name); info.external_attr = mode << 16; info.create_system = 3\n\
         \x20   z.writestr(info, text)\n\
         z.close()\n"
    );
    Process::new("python3")
        .args(["-c", &program, &m.at("a.zip")])
        .status()
        .is_ok_and(|s| s.success())
}

#[test]
fn a_zip_is_unpacked_and_a_hostile_one_refused() {
    on_all(|m| {
        if !zip(
            m,
            "[('top/bin/run', 0o100755, 'x'), ('top/a b', 0o100644, 'y')]",
        ) {
            eprintln!("no python3: not tried");
            return;
        }
        let mut single = args(m, "a.zip", "to");
        single["strip"] = "single".into();
        assert_eq!(m.run("unpack", single), Outcome::Changed);
        assert_eq!(m.tree("to"), ["a b", "bin/", "bin/run"]);
        if !m.is_busybox() {
            assert_eq!(m.mode("to/bin/run"), 0o755);
        }
        fs::remove_dir_all(m.at("to")).unwrap();
        for (what, entries) in [
            ("climbs", "[('../evil', 0o100644, 'x')]"),
            ("climbs within", "[('a/../../evil', 0o100644, 'x')]"),
            ("is absolute", "[('/tmp/windlass-evil', 0o100644, 'x')]"),
            ("links", "[('l', 0o120777, '/etc')]"),
            (
                "links through",
                "[('l', 0o120777, '..'), ('l/evil', 0o100644, 'x')]",
            ),
        ] {
            assert!(zip(m, entries));
            let said = m.fails("unpack", args(m, "a.zip", "to"));
            eprintln!("{what}: {said}");
            assert_eq!(m.tree(""), ["a.zip"], "{what}: {said}");
            assert!(fs::metadata("/tmp/windlass-evil").is_err(), "{what}");
        }
    });
}

#[test]
fn what_is_missing_is_named() {
    on_all(|m| {
        symlink("nowhere", m.at("dangling")).unwrap();
        m.write("a.tar", good());
        let said = m.fails("unpack", args(m, "a.tar", "dangling"));
        assert!(said.contains("is not a directory"), "{said}");
        let said = m.fails("unpack", args(m, "a.tar", "a.tar/below"));
        assert!(said.contains("mkdir"), "{said}");
    });
}
