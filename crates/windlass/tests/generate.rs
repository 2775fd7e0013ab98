//! `generate`: trees that load, start and build.

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation does")]

mod support;

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use support::{Place, Ran};

const KINDS: [&str; 3] = ["manager", "builder", "installer"];

/// Runs the program under the seed's name.
fn relman_ctl(place: &Place, arguments: &[&str]) -> Ran {
    let link = place.path().join("relman_ctl");
    if !link.exists() {
        symlink(env!("CARGO_BIN_EXE_windlass"), &link).unwrap();
    }
    let mut command = Command::new(&link);
    command
        .args(arguments)
        .current_dir(place.path())
        .env("XDG_STATE_HOME", place.path().join(".state"))
        .env("XDG_CACHE_HOME", place.path().join(".cache"));
    Ran::of(command.output().unwrap())
}

/// Every path below a directory with its mode, directories with a slash.
fn listing(place: &Place, root: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let mut lines = Vec::new();
    let mut open = vec![place.path().join(root)];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap().flatten() {
            let path = entry.path();
            let shown = path
                .strip_prefix(place.path())
                .unwrap()
                .display()
                .to_string();
            if path.is_dir() {
                lines.push(format!("{shown}/"));
                open.push(path);
            } else {
                let is_program = path.metadata().unwrap().permissions().mode() & 0o111 != 0;
                lines.push(format!("{shown}{}", if is_program { "*" } else { "" }));
            }
        }
    }
    lines.sort();
    lines.join("\n")
}

#[test]
fn both_trees() {
    let place = Place::new();
    for kind in KINDS {
        place
            .windlass(&[
                "generate",
                kind,
                &format!("yaml_{kind}"),
                "-a",
                "simpleauth",
            ])
            .expect(0);
        relman_ctl(
            &place,
            &["generate", kind, &format!("xml_{kind}"), "-a", "simpleauth"],
        )
        .expect(0);
    }
    let all: Vec<String> = KINDS
        .iter()
        .flat_map(|kind| ["yaml", "xml"].map(|form| listing(&place, &format!("{form}_{kind}"))))
        .collect();
    insta::assert_snapshot!(all.join("\n\n"));
}

#[test]
fn what_is_refused() {
    let place = Place::new();
    place.write("full/file", "mine");
    place.write("a_file", "mine");
    fs::create_dir(place.path().join("empty")).unwrap();
    place.windlass(&["generate", "manager", "empty"]).expect(0);
    let refused = [
        vec!["generate", "manager", "full"],
        vec!["generate", "manager", "m", "--directory", "full"],
        vec!["generate", "manager", "a_file"],
        vec!["generate", "manager", "a/b"],
        vec!["generate", "manager", "m", "-a", "../x"],
        vec!["generate", "manager", "m", "-a", "users"],
    ];
    let all = refused.map(|arguments| place.windlass(&arguments).expect(2).shown(&place));
    assert!(!place.path().join("m").exists());
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn serve_runs_the_program_with_its_directory_and_options() {
    let place = Place::new();
    place
        .windlass(&["generate", "builder", "y", "--directory", "with blank/y"])
        .expect(0);
    relman_ctl(&place, &["generate", "installer", "x"]).expect(0);
    let fake = place.program("fake", "#!/bin/sh\nprintf '<%s>' \"$@\"\n");
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(place.path().join(program));
        command
            .args(arguments)
            .env("WINDLASS_BIN", &fake)
            .current_dir(place.path());
        Ran::of(command.output().unwrap()).expect(0).stdout
    };
    let (y, x) = (place.at("with blank/y"), place.at("x"));
    let (serve, serve_py) = ("with blank/y/serve", "x/serve.py");
    assert_eq!(
        run(serve, &[]),
        format!("<serve><builder><{y}><-n><template>")
    );
    assert_eq!(
        run(serve, &["-n", "other", "-p", "a b"]),
        format!("<serve><builder><{y}><-n><other><-p><a b>")
    );
    assert_eq!(
        run(serve_py, &[]),
        format!("<serve><installer><{x}><-n><template>")
    );
    assert_eq!(
        run(serve_py, &["-n", "other", "-p", "c"]),
        format!("<serve><installer><{x}><-n><other><-p><c>")
    );
    let absolute = fs::read_to_string(place.path().join(serve)).unwrap();
    let binary = fs::canonicalize(env!("CARGO_BIN_EXE_windlass")).unwrap();
    assert!(absolute.contains(&format!("WINDLASS='{}'", binary.display())));
}

#[test]
fn template_builder_leaves_an_archive_without_a_manager() {
    let place = Place::new();
    relman_ctl(&place, &["generate", "builder", "b"]).expect(0);
    let mut command = Command::new(place.path().join("b/utils/template_builder.py"));
    command
        .args(["--version", "1.0"])
        .env("XDG_CACHE_HOME", place.path().join(".cache"));
    let ran = Ran::of(command.output().unwrap()).expect(0);
    assert_eq!(
        ran.stdout.trim_end(),
        place.at("b/archive/template-1.0.zip")
    );
    let look = "import hashlib, io, json, sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
index = json.loads(archive.read('index.json'))
item = index['targets']['template']
data = archive.read('template/' + item['name'])
assert hashlib.sha256(data).hexdigest() == item['digest'] and len(data) == item['size']
print(sorted(archive.namelist()), zipfile.ZipFile(io.BytesIO(data)).namelist())
print(json.dumps(index))";
    let python = Command::new("python3")
        .args(["-c", look, ran.stdout.trim_end()])
        .output();
    let shown = Ran::of(python.unwrap()).expect(0).stdout;
    let (names, index) = shown.split_once('\n').unwrap();
    assert_eq!(
        names,
        "['index.json', 'template/template.zip'] ['index.html']"
    );
    let index: windlass_model::release::Index = serde_json::from_str(index).unwrap();
    assert_eq!(index.release().to_string(), "template@1.0");
    let left: Vec<_> = fs::read_dir(place.path().join("b/work")).unwrap().collect();
    assert!(left.is_empty());
}

#[test]
fn the_generated_behaviour_and_auth_plugin_speak_the_protocol() {
    let place = Place::new();
    relman_ctl(&place, &["generate", "builder", "b", "-a", "simpleauth"]).expect(0);
    let package = place.windlass(&["python"]).expect(0).stdout;
    let source = place.at("b/svn_checkout/template");
    let serve = |file: &str, requests: &[serde_json::Value]| -> Vec<serde_json::Value> {
        let mut child = Command::new("python3")
            .args(["-u", "-m", "windlass_worker", &place.at(file)])
            .env("PYTHONPATH", package.trim_end())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        for request in requests {
            writeln!(stdin, "{request}").unwrap();
        }
        drop(stdin);
        let output = child.wait_with_output().unwrap().stdout;
        let lines = String::from_utf8(output).unwrap();
        let parsed = lines.lines().map(|l| serde_json::from_str(l).unwrap());
        let answers = parsed.filter(|m: &serde_json::Value| m.get("method").is_none());
        answers.collect()
    };
    let call = |id: u32, method: &str, params: serde_json::Value| serde_json::json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    let build = serde_json::json!({"behaviour": "TemplateBuildBehavior", "project": {"name": "template"}, "request": {},
        "work_directory": source, "config": {"resources": {"template": "site"}}});
    let answers = serve("b/builder/template.py", &[call(1, "build", build)]);
    assert_eq!(
        answers[0]["result"],
        serde_json::json!({"resources": {"template": "template.zip"}}),
        "{answers:?}"
    );
    let credentials = serde_json::json!({"credentials": {"username": "x"}, "config": {"a": 1}});
    let answers = serve(
        "b/plugins/auth/simpleauth.py",
        &[call(1, "authenticate", credentials)],
    );
    assert_eq!(answers[0]["result"], serde_json::Value::Null, "{answers:?}");
    assert!(answers[0].get("error").is_none(), "{answers:?}");
}
