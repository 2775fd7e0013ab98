//! createdirectory, listdirectory, removefile, symlink, movefile, copyfile, writefile, template, upload.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;
use windlass_model::outcome::Outcome;
use windlass_model::step::{PutSource, Step};

use crate::machine::on_all;

const ODD: &str = "it's $HOME `id` -n ü";

#[test]
fn a_directory_is_created_and_emptied() {
    on_all(|m| {
        let dir = m.at(&format!("a/{ODD}"));
        m.changes_once("createdirectory", json!({"source": dir}));
        m.changes_once("createdirectory", json!({"source": dir, "mode": "0750"}));
        assert_eq!(m.mode(&format!("a/{ODD}")), 0o750);
        for file in ["x", ".hidden", "-rf", "deep/er/x"] {
            m.write(&format!("a/{ODD}/{file}"), "");
        }
        m.link(&format!("a/{ODD}/out"), "/etc");
        assert_eq!(
            m.run("createdirectory", json!({"source": dir})),
            Outcome::Unchanged
        );
        m.changes_once("createdirectory", json!({"source": dir, "clobber": true}));
        assert!(m.tree(&format!("a/{ODD}")).is_empty());
    });
}

#[test]
fn what_everything_hangs_on_is_never_emptied_or_removed() {
    on_all(|m| {
        m.write("real/precious", "");
        m.link("link", "real");
        let said = m.fails(
            "createdirectory",
            json!({"source": m.at("link"), "clobber": true}),
        );
        assert!(said.contains("symbolic link"), "{said}");
        fs::write(format!("{}/precious", m.home()), "").unwrap();
        let home = m.home();
        let above = home.trim_end_matches("/home");
        for (dir, because) in [
            (home.as_str(), "home directory"),
            (above, "home directory"),
            ("/dev/shm", "mounted"),
        ] {
            for said in [
                m.fails("createdirectory", json!({"source": dir, "clobber": true})),
                m.fails("removefile", json!({"source": dir})),
            ] {
                assert!(said.contains(because), "{dir}: {said}");
            }
        }
        assert!(fs::metadata(format!("{home}/precious")).is_ok());
        assert!(m.has("real/precious"));
        for dir in ["/", "/usr", "/home/ann"] {
            m.refuses("createdirectory", json!({"source": dir, "clobber": true}));
            m.refuses("removefile", json!({"source": dir}));
        }
    });
}

#[test]
fn a_file_in_the_way_of_a_directory_is_an_error() {
    on_all(|m| {
        m.write("file", "x");
        let said = m.fails("createdirectory", json!({"source": m.at("file")}));
        assert!(said.contains("exist"), "{said}");
        let said = m.fails("createdirectory", json!({"source": m.at("file/below")}));
        assert!(said.to_lowercase().contains("not a directory"), "{said}");
    });
}

#[test]
fn a_directory_is_listed() {
    on_all(|m| {
        for file in ["d/b", "d/a b", "d/.c", "d/e/f"] {
            m.write(file, "");
        }
        let verdict = m.verdict("listdirectory", json!({"directory": m.at("d")}));
        assert_eq!(verdict.outcome, Outcome::Unchanged);
        assert_eq!(verdict.output.unwrap(), ".c\na b\nb\ne\n");
        let said = m.fails("listdirectory", json!({"directory": m.at("none")}));
        assert!(said.contains("no such directory"), "{said}");
    });
}

#[test]
fn files_links_and_directories_are_removed() {
    on_all(|m| {
        m.write(ODD, "");
        m.write("d/e/f", "");
        m.link("l", "d");
        m.link("dangling", "nowhere");
        m.changes_once("removefile", json!({"source": m.at(ODD)}));
        m.changes_once("removefile", json!({"source": m.at("l")}));
        m.changes_once("removefile", json!({"source": m.at("dangling")}));
        assert!(m.has("d/e/f"));
        m.changes_once("removefile", json!({"source": m.at("d")}));
        assert!(m.tree("").is_empty());
        m.write("file", "");
        let below = json!({"source": m.at("file/below")});
        assert_eq!(m.run("removefile", below), Outcome::Unchanged);
    });
}

#[test]
fn links_are_swapped() {
    on_all(|m| {
        m.write("v1/x", "1");
        m.write("v2/x", "2");
        let to = |target: String| json!({"source": target, "destination": m.at("cur rent")});
        m.changes_once("symlink", to(m.at("v1")));
        m.changes_once("symlink", to(m.at("v2")));
        assert_eq!(m.read("cur rent/x"), "2");
        m.changes_once("symlink", to("v1".into()));
        assert_eq!(m.target("cur rent"), "v1");
        m.changes_once("symlink", to("-n 'odd'".into()));
        assert_eq!(m.tree("v1"), ["x"]);
        for taken in ["v1", "v1/x"] {
            let said = m.fails(
                "symlink",
                json!({"source": "v2", "destination": m.at(taken)}),
            );
            assert!(said.contains("not a link"), "{said}");
        }
        let said = m.fails(
            "symlink",
            json!({"source": "v2", "destination": m.at("none/link")}),
        );
        assert!(said.contains("o such file"), "{said}");
    });
}

#[test]
fn things_are_moved() {
    on_all(|m| {
        m.write("d/x", "new");
        let odd = m.at(ODD);
        m.changes_once("movefile", json!({"source": m.at("d"), "destination": odd}));
        assert_eq!(m.read(&format!("{ODD}/x")), "new");
        let said = m.fails(
            "movefile",
            json!({"source": m.at("none"), "destination": m.at("neither")}),
        );
        assert!(said.contains("no such file"), "{said}");

        m.write("newer/y", "newer");
        let said = m.fails(
            "movefile",
            json!({"source": m.at("newer"), "destination": odd}),
        );
        assert!(said.contains("exists already"), "{said}");
        m.changes_once(
            "movefile",
            json!({"source": m.at("newer"), "destination": odd, "clobber": true}),
        );
        assert_eq!(m.tree(ODD), ["y"]);

        m.write("file", "f");
        m.link("link", ODD);
        m.changes_once(
            "movefile",
            json!({"source": m.at("file"), "destination": m.at("link"), "clobber": true}),
        );
        assert_eq!(m.read("link"), "f");
        m.changes_once(
            "movefile",
            json!({"source": m.at("link"), "destination": odd, "clobber": true}),
        );
        assert_eq!(m.tree(""), [ODD]);
        m.refuses(
            "movefile",
            json!({"source": m.at("a"), "destination": m.at("a/b")}),
        );
    });
}

#[test]
fn things_are_moved_to_another_file_system() {
    let Ok(other) = tempfile::tempdir_in("/dev/shm") else {
        eprintln!("no other file system here: not tried");
        return;
    };
    on_all(|m| {
        let to = other.path().join("release 1");
        let to = to.to_str().unwrap();
        m.write("d/x", "1");
        m.link("d/l", "x");
        m.changes_once("movefile", json!({"source": m.at("d"), "destination": to}));
        assert!(m.tree("").is_empty());
        assert_eq!(fs::read_to_string(format!("{to}/l")).unwrap(), "1");
        m.write("d/x", "2");
        m.changes_once(
            "movefile",
            json!({"source": m.at("d"), "destination": to, "clobber": true}),
        );
        assert_eq!(fs::read_to_string(format!("{to}/x")).unwrap(), "2");
        assert_eq!(fs::read_dir(other.path()).unwrap().count(), 1);
        fs::remove_dir_all(to).unwrap();
    });
}

#[test]
fn moving_can_be_checked() {
    on_all(|m| {
        m.write("a", "");
        let args = json!({"source": m.at("a"), "destination": m.at("b")});
        let command = m.initialize("movefile", &args).unwrap();
        let facts = crate::machine::facts();
        let check = command.check(&facts).unwrap();
        let [Step::Run(run)] = check.as_slice() else {
            panic!("{check:?}");
        };
        assert!(!m.sh(run).is_wanted(&check[0]));
        m.run("movefile", args);
        assert!(m.sh(run).is_wanted(&check[0]));
    });
}

#[test]
fn things_are_copied() {
    on_all(|m| {
        m.write("d/x", "1");
        m.link("d/l", "x");
        let args = json!({"source": m.at("d"), "destination": m.at(ODD)});
        m.changes_once("copyfile", args.clone());
        assert_eq!(m.tree(ODD), ["l -> x", "x"]);
        m.write("d/x", "2");
        let said = m.fails("copyfile", args.clone());
        assert!(said.contains("exists already"), "{said}");
        let mut leave = args;
        leave["continue_if_exists"] = true.into();
        assert_eq!(m.run("copyfile", leave), Outcome::Unchanged);
        assert_eq!(m.read(&format!("{ODD}/x")), "1");
        let said = m.fails(
            "copyfile",
            json!({"source": m.at("none"), "destination": m.at("y")}),
        );
        assert!(said.contains("no such file"), "{said}");
    });
}

#[test]
fn what_a_pattern_matches_is_copied() {
    on_all(|m| {
        for name in ["s d/a.conf", "s d/b $x.conf", "s d/c.txt"] {
            m.write(name, name);
        }
        let args = json!({"source": m.at("s d/*.conf"), "destination": m.at("to/dir")});
        m.changes_once("copyfile", args.clone());
        assert_eq!(m.tree("to/dir"), ["a.conf", "b $x.conf"]);
        m.write("s d/d.conf", "");
        m.changes_once("copyfile", args);
        let said = m.fails(
            "copyfile",
            json!({"source": m.at("s d/*.none"), "destination": m.at("to/dir")}),
        );
        assert!(said.contains("nothing matches"), "{said}");
    });
}

#[test]
fn a_file_is_written() {
    on_all(|m| {
        let args = json!({"destination": m.at("f"), "contents": "a\nb", "mode": "0640"});
        m.changes_once("writefile", args);
        assert_eq!((m.read("f").as_str(), m.mode("f")), ("a\nb", 0o640));
        let mut other = json!({"destination": m.at("f"), "contents": "c"});
        m.fails("writefile", other.clone());
        other["clobber"] = true.into();
        m.changes_once("writefile", other);
    });
}

#[test]
fn a_secret_is_written_for_its_owner_only() {
    on_all(|m| {
        m.write("t", "p={{ p }}\n");
        let secret = json!({"$secret": {"env": "P"}});
        for (name, args) in [
            (
                "writefile",
                json!({"destination": "/etc/x/y", "contents": secret}),
            ),
            (
                "template",
                json!({"source": "t", "destination": "/etc/x/y", "values": {"p": secret}}),
            ),
        ] {
            let command = m.initialize(name, &args).unwrap();
            let windlass_engine::command::Turn::Last(steps) =
                command.turn(&crate::machine::facts(), &[])
            else {
                panic!("{name}");
            };
            let [Step::Put(put)] = steps.as_slice() else {
                panic!("{steps:?}");
            };
            assert_eq!(put.mode, Some(0o600), "{name}");
            let PutSource::Bytes(text) = &put.source else {
                panic!("{put:?}");
            };
            assert_eq!(text.secrets().count(), 1, "{name}");
        }
    });
}

#[test]
fn a_template_is_rendered_and_its_file_pinned() {
    on_all(|m| {
        m.write("t.conf", "host={{ host }}\n{% if tls %}tls\n{% endif %}");
        let mut args = json!({
            "source": "t.conf", "destination": m.at("out"), "values": {"host": "a", "tls": true}, "mode": "0644"
        });
        m.changes_once("template", args.clone());
        assert_eq!(
            (m.read("out").as_str(), m.mode("out")),
            ("host=a\ntls\n", 0o644)
        );
        let files = m.initialize("template", &args).unwrap().files();
        assert_eq!(files, [m.dir().join("t.conf")]);
        let pinned = BTreeMap::from([(m.at("t.conf"), "0".repeat(64))]);
        let said = m
            .initialize_pinned("template", &args, &pinned)
            .err()
            .unwrap()
            .to_string();
        assert!(said.contains("has changed"), "{said}");
        args["values"] = json!({"tls": false});
        let said = m.refuses("template", args);
        assert!(said.contains("t.conf:1"), "{said}");
    });
}

#[test]
fn files_are_uploaded() {
    on_all(|m| {
        m.write("in/a.tar", "a");
        m.write("in/b.tar", "b");
        m.write("in/c.tar/x", "a directory");
        let args = json!({"source": "in/*.tar", "destination": m.at("to here"), "mode": 600});
        m.changes_once("upload", args.clone());
        assert_eq!(m.tree("to here"), ["a.tar", "b.tar"]);
        assert_eq!(m.mode("to here/a.tar"), 0o600);
        let pinned = BTreeMap::from([(m.at("in/a.tar"), "abc".to_owned())]);
        let command = m.initialize_pinned("upload", &args, &pinned).unwrap();
        assert_eq!(
            command.files(),
            [m.dir().join("in/a.tar"), m.dir().join("in/b.tar")]
        );
        let windlass_engine::command::Turn::Last(steps) =
            command.turn(&crate::machine::facts(), &[])
        else {
            panic!("not the last turn");
        };
        assert!(
            serde_json::to_string(&steps)
                .unwrap()
                .contains("\"sha256\":\"abc\"")
        );
    });
}

#[test]
fn what_cannot_be_uploaded_is_said_at_once() {
    on_all(|m| {
        m.write("x/same", "");
        m.write("y/same", "");
        symlink("nowhere", m.dir().join("dangling")).unwrap();
        for (source, because) in [
            ("none.tar", "No such file"),
            ("*.none", "no file matches"),
            ("x", "is a directory"),
            ("*/same", "both be uploaded"),
            ("dangling", "No such file"),
        ] {
            let said = m.refuses("upload", json!({"source": source, "destination": "/opt/x"}));
            assert!(said.contains(because), "{source}: {said}");
        }
    });
}
