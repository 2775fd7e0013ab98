//! What goes wrong: status, history, what is where, and the disks are right.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use windlass_testkit::sshd::is_root;

use crate::service::{Form, Service, until};
use crate::sources;
use crate::world::{RECIPE, World, page};

/// What an agent keeps when nothing runs.
fn is_clean(service: &Service) {
    let keeps = [
        "groups",
        "jobs",
        "locks",
        "logs",
        "managers",
        "resources",
        "state",
    ];
    for name in service.list("work") {
        assert!(keeps.contains(&name.as_str()), "{name}");
    }
    for folder in ["work/jobs", "work/logs", "work/resources"] {
        assert!(service.list(folder).is_empty(), "{folder}");
    }
}

#[test]
fn builds_that_fail_leave_nothing() {
    let world = World::new(Form::Yaml);
    let (manager, mut builder, installers) = world.all(1);
    builder.kill();
    let (url, _) = sources::git(&world.path().join("repository"));
    let recipe = |name: &str, text: &str| {
        let definition = format!("conf/project/project_definition_{name}.yaml");
        manager.write(&definition, "targets: [template]\n");
        builder.write(&format!("conf/builder/release_builder_{name}.yaml"), text);
    };
    recipe(
        "lost",
        "klass: directory\nvcs: {git: /nowhere/repository}\n",
    );
    recipe(
        "tagged",
        &format!("klass: directory\nvcs: {{git: {url}}}\nfrom: site\n"),
    );
    recipe(
        "broken",
        &format!(
            "klass: commands\nvcs: {{git: {url}}}\ncommands: [\"echo no such luck; exit 3\"]\ntargets: {{template: {{from: site}}}}\n"
        ),
    );
    recipe(
        "empty",
        &format!(
            "klass: commands\nvcs: {{git: {url}}}\ncommands: [\"true\"]\ntargets: {{template: \"*.war\"}}\n"
        ),
    );
    assert_eq!(world.post("reload", &json!(null)).status, 200);
    builder.start();
    builder.says("registered with");
    crate::service::until("it advertises them", || {
        world
            .get("projects")
            .to_string()
            .contains("\"builders\":[]")
            .eq(&false)
            .then_some(())
    });
    let mut all = String::new();
    for (project, more) in [
        ("lost", json!({"trunk": true})),
        ("tagged", json!({"tag": "v9"})),
        ("broken", json!({})),
        ("empty", json!({})),
    ] {
        let mut more = more;
        more["project"] = project.into();
        let id = world.install(&more);
        assert_eq!(world.ended(&id), "BUILD_FAILED", "{}", world.story(&id));
        let why = world.get(&format!("transactions/{id}"))["why"].clone();
        all.push_str(&format!("{project}: {}\n", why.as_str().unwrap()));
        assert_eq!(world.count(&id, "build failed"), 1);
        assert_eq!(world.count(&id, "ended"), 1);
        // The log says more.
        let job = world.get(&format!("transactions/{id}"))["jobs"][0]["job"].clone();
        let log = world.get(&format!(
            "transactions/{id}/jobs/{}/log",
            job.as_str().unwrap()
        ));
        assert!(log.to_string().contains("Check out"), "{log}");
        if project == "broken" {
            assert!(log.to_string().contains("no such luck"), "{log}");
        }
    }
    assert_eq!(world.matrix(), Vec::<String>::new());
    assert_eq!(world.get("releases"), json!([]));
    assert!(installers[0].list("install_base").is_empty());
    is_clean(&builder);
    let all = all.replace(world.path().to_str().unwrap(), "DIR");
    insta::assert_snapshot!(without_runs(&all));
}

/// Directories of jobs have names of their own each time.
fn without_runs(text: &str) -> String {
    let mut out = Vec::new();
    for part in text.split('/') {
        let is_run = part.starts_with('j') && part.matches('-').count() >= 2;
        let end = part.find([' ', ':', '\'', '"', '\n']).unwrap_or(part.len());
        out.push(match is_run {
            true => format!("RUN{}", &part[end..]),
            false => part.to_owned(),
        });
    }
    out.join("/")
}

/// A small file system, taken away in the end.
struct Small(PathBuf);

impl Small {
    /// `None` where that is not allowed.
    fn at(path: PathBuf) -> Option<Self> {
        fs::create_dir_all(&path).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=128k", "windlass-test"])
            .arg(&path)
            .output()
            .ok()?;
        mount.status.success().then_some(Self(path))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_fails_one_install_and_leaves_what_was_there() {
    if !is_root().unwrap() {
        return eprintln!("skipped: only root may mount");
    }
    let world = World::new(Form::Yaml);
    let mut installers = world.installers(2);
    let Some(small) = Small::at(installers[0].at("install_base")) else {
        return eprintln!("skipped: nothing can be mounted here");
    };
    let mut manager = world.manager();
    let mut builder = world.generate("builder", "builder");
    let (url, _) = sources::git(&world.path().join("repository"));
    builder.edit(
        RECIPE,
        "directory: svn_checkout/template",
        &format!("git: \"{url}\""),
    );
    world.up(&mut manager);
    builder.start();
    installers.iter_mut().for_each(Service::start);
    world.registered(3);
    world.installed(&json!({"tag": "v1.0"}));
    // Too much for it, and nothing that could be made smaller.
    let repository = world.path().join("repository");
    let mut noise = vec![0_u8; 512 << 10];
    let mut state = 1_u64;
    for byte in &mut noise {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        *byte = (state >> 56) as u8;
    }
    fs::write(repository.join("site/noise"), noise).unwrap();
    for arguments in [
        &["add", "."][..],
        &[
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.org",
            "commit",
            "-q",
            "-m",
            "big",
        ],
    ] {
        let git = Command::new("git")
            .args(arguments)
            .current_dir(&repository)
            .status();
        assert!(git.unwrap().success());
    }
    let id = world.install(&json!({"trunk": true}));
    assert_eq!(world.ended(&id), "INSTALL_FAILED", "{}", world.story(&id));
    let why = world.get(&format!("transactions/{id}"))["why"].to_string();
    assert!(
        why.contains("i01") && why.contains("than the disk has room for"),
        "{why}"
    );
    assert_eq!(
        (page(&installers[0]), page(&installers[1])),
        ("first".into(), "trunk".into())
    );
    assert_eq!(world.matrix()[0], "i01 template@v1.0");
    assert_ne!(world.matrix()[1], "i02 template@v1.0");
    // Nothing half unpacked takes the room that is left.
    assert_eq!(
        installers[0].list("install_base"),
        [".windlass", "template"]
    );
    installers.iter().for_each(is_clean);
    drop(installers);
    drop(small);
}

#[test]
fn a_wave_that_fails_stops_the_rollout() {
    let world = World::new(Form::Yaml);
    let mut manager = world.manager();
    manager.write(
        "conf/project/project_definition_template.yaml",
        "targets: [template]\nrollout: {batch: 1}\n",
    );
    let mut builder = world.generate("builder", "builder");
    let mut installers = world.installers(3);
    // What lies there is somebody else's.
    installers[1].write("install_base/template/mine", "mine");
    world.up(&mut manager);
    builder.start();
    installers.iter_mut().for_each(Service::start);
    world.registered(4);
    let id = world.install(&json!({"trunk": true}));
    assert_eq!(world.ended(&id), "INSTALL_FAILED", "{}", world.story(&id));
    let jobs = world.get(&format!("transactions/{id}"))["jobs"].clone();
    let states: Vec<_> = jobs
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["state"].clone())
        .collect();
    assert_eq!(states, ["done", "done", "failed", "cancelled"]);
    let matrix = world.matrix();
    assert!(
        matrix.len() == 1 && matrix[0].starts_with("i01 "),
        "{matrix:?}"
    );
    assert!(page(&installers[0]).contains('<'));
    assert_eq!(installers[1].list("install_base/template"), ["mine"]);
    assert!(installers[2].list("install_base").is_empty());
    installers.iter().for_each(is_clean);
    // When the cause is gone all of them get it.
    fs::remove_dir_all(installers[1].at("install_base/template")).unwrap();
    world.installed(&json!({"trunk": true}));
    assert_eq!(world.matrix().len(), 3);
}

/// Every file below a directory.
fn files(at: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(at).into_iter().flatten().flatten();
    let below = |path: PathBuf| match path.is_dir() {
        true => files(&path),
        false => vec![path],
    };
    entries.flat_map(|entry| below(entry.path())).collect()
}

#[test]
fn a_blob_that_does_not_match_is_not_installed() {
    let world = World::new(Form::Yaml);
    let (manager, _builder, installers) = world.all(1);
    let build = json!({"project": "template", "action": "build", "trunk": true});
    let id = world.request(&build);
    world.becomes(&id, "BUILD_COMPLETED");
    let release = world.get("releases")[0]["release"].clone();
    let blobs = files(&manager.at("work/blobs"));
    let blob = blobs
        .iter()
        .max_by_key(|path| path.metadata().unwrap().len());
    let blob = blob.unwrap();
    let mut bytes = fs::read(blob).unwrap();
    bytes[20] ^= 1;
    let writable = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(blob, writable).unwrap();
    fs::write(blob, bytes).unwrap();
    let id = world.install(&json!({"release": release}));
    assert_eq!(world.ended(&id), "INSTALL_FAILED", "{}", world.story(&id));
    assert!(
        world.story(&id).contains("has SHA-256"),
        "{}",
        world.story(&id)
    );
    assert!(world.matrix().is_empty());
    assert!(installers[0].list("install_base").is_empty());
    is_clean(&installers[0]);
}

#[test]
fn an_agent_that_cannot_begin_ends_and_says_why() {
    let world = World::new(Form::Yaml);
    let mut builder = world.generate("builder", "builder");
    builder.write("work/managers/starts", "many");
    builder.start();
    until("the builder ends", || (!builder.is_running()).then_some(()));
    let said = builder.said();
    assert!(
        said.contains("work/managers/starts is no number: remove it") && !said.contains("panicked"),
        "{said}"
    );
}
