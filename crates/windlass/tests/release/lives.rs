//! What is killed, stopped and started again loses nothing.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::service::{Form, Service, until};
use crate::world::{BEHAVIOUR, MANAGER, RECIPE, World, page};

/// Longest that a service may take to stop.
const SOON: Duration = Duration::from_secs(5);

/// Shell that says that it began and waits until it may go on; it gives up when the test is over.
fn wait_for(at: &Path, what: &str) -> String {
    let dir = at.display();
    format!(
        "touch {dir}/{what}-begun; while [ ! -e {dir}/{what}-go ] && [ -d {dir} ]; do sleep 0.05; done"
    )
}

/// The builder builds until it is told to end.
fn slow_build(world: &World, builder: &Service) {
    let wait = wait_for(world.path(), "build");
    let recipe = format!(
        "name: template\nklass: commands\npackage: windlass.build\nvcs: {{directory: svn_checkout/template}}\ntargets: {{template: {{from: site}}}}\ncommands: [\"{wait}\"]\n"
    );
    builder.write(&format!("{RECIPE}.yaml"), &recipe);
}

/// The installer installs until it is told to end.
fn slow_install(world: &World, installer: &Service) {
    let wait = wait_for(world.path(), "install");
    let done = installer.at("install_base/done");
    let stages = json!([{"name": "Wait", "concurrency": 1, "tasks": [
        {"command": "execute_command", "run": format!("{wait}; touch {}", done.display())}]}]);
    let behaviour = json!({"name": "template", "klass": "tasklist", "package": "windlass.install", "stages": stages});
    installer.write(&format!("{BEHAVIOUR}.yaml"), &behaviour.to_string());
}

fn begun(world: &World, what: &str) {
    let file = world.path().join(format!("{what}-begun"));
    until("it begins", || file.exists().then_some(()));
}

fn go(world: &World, what: &str) {
    fs::write(world.path().join(format!("{what}-go")), "").unwrap();
}

fn slow_world() -> (World, Service, Service, Service) {
    let world = World::new(Form::Yaml);
    let manager = world.manager();
    let builder = world.generate("builder", "builder");
    let installer = world.generate("installer", "i01");
    (world, manager, builder, installer)
}

#[test]
fn agents_wait_for_their_manager_and_a_killed_one_loses_nothing() {
    let (world, mut manager, mut builder, mut installer) = slow_world();
    slow_build(&world, &builder);
    builder.start();
    installer.start();
    for agent in [&builder, &installer] {
        agent.says("[WARNING ]");
        agent.says("cannot register, and tries again");
    }
    world.up(&mut manager);
    world.registered(2);
    manager.says("registration from builder builder");
    manager.says("test: template");
    builder.says("registered with");
    let id = world.install(&json!({"trunk": true}));
    begun(&world, "build");
    manager.kill();
    // Longer than any lease: nobody could renew one.
    std::thread::sleep(Duration::from_secs(6));
    world.up(&mut manager);
    assert_eq!(world.get("agents").as_array().unwrap().len(), 2);
    assert_eq!(world.status(&id), "STARTED");
    // Long enough for a lease that is not renewed to end.
    std::thread::sleep(Duration::from_secs(7));
    go(&world, "build");
    assert_eq!(
        world.ended(&id),
        "INSTALL_COMPLETED",
        "{}",
        world.story(&id)
    );
    assert_eq!(world.count(&id, "started"), 2, "{}", world.story(&id));
    assert!(!page(&installer).is_empty());
}

#[test]
fn a_manager_that_is_stopped_ends_soon_and_the_build_goes_on() {
    let (world, mut manager, mut builder, mut installer) = slow_world();
    slow_build(&world, &builder);
    world.up(&mut manager);
    builder.start();
    installer.start();
    world.registered(2);
    let id = world.install(&json!({"trunk": true}));
    begun(&world, "build");
    // A client that waits for news is answered.
    let (port, path) = (world.port, format!("/api/v1/transactions/{id}"));
    let version = world.get(&format!("transactions/{id}"))["version"].to_string();
    let waiting = std::thread::spawn(move || {
        crate::http::ask(port, "GET", &format!("{path}?after={version}&wait=30"), "")
    });
    std::thread::sleep(Duration::from_millis(300));
    let (status, took) = manager.end("TERM");
    assert!(status.success() && took < SOON, "{status} {took:?}");
    let answer = waiting.join().unwrap().unwrap();
    assert_eq!(answer.json()["status"], "STARTED");
    world.up(&mut manager);
    go(&world, "build");
    assert_eq!(world.ended(&id), "INSTALL_COMPLETED");
    assert_eq!(world.count(&id, "started"), 2);
    for service in [&mut installer, &mut builder, &mut manager] {
        let (status, took) = service.end("TERM");
        assert!(status.success() && took < SOON, "{status} {took:?}");
    }
}

#[test]
fn a_killed_builder_builds_again_and_another_takes_over_from_a_stopped_one() {
    let (world, mut manager, mut builder, mut installer) = slow_world();
    slow_build(&world, &builder);
    world.up(&mut manager);
    builder.start();
    installer.start();
    world.registered(2);
    let id = world.install(&json!({"trunk": true}));
    begun(&world, "build");
    builder.kill();
    fs::remove_file(world.path().join("build-begun")).unwrap();
    builder.start();
    begun(&world, "build");
    let (status, took) = builder.end("TERM");
    assert!(status.success() && took < SOON, "{status} {took:?}");
    let mut other = world.generate("builder", "other");
    other.start();
    go(&world, "build");
    assert_eq!(
        world.ended(&id),
        "INSTALL_COMPLETED",
        "{}",
        world.story(&id)
    );
    insta::assert_snapshot!("a_build_in_three_attempts", known_names(&world.story(&id)));
    // What the killed one left is gone once it is back.
    builder.start();
    builder.says("registered with");
    let folders = builder.list("work");
    assert_eq!(folders, ["groups", "jobs", "logs", "managers", "resources"]);
    assert!(builder.list("work/jobs").is_empty());
}

/// Without the release's digits.
fn known_names(story: &str) -> String {
    let mut out = String::new();
    for word in story.split_inclusive([' ', '\n', ',']) {
        let name = word.trim_end_matches([' ', '\n', ',']);
        match name.strip_prefix("template@") {
            Some(_) => out.push_str(&word.replace(name, "template@VERSION")),
            None if name.len() >= 20 && name.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                out.push_str(&word.replace(name, "DIGITS"));
            }
            None => out.push_str(word),
        }
    }
    out
}

#[test]
fn a_killed_installer_leaves_an_unknown_that_is_settled_by_hand() {
    let (world, mut manager, mut builder, mut installer) = slow_world();
    slow_install(&world, &installer);
    world.up(&mut manager);
    builder.start();
    installer.start();
    world.registered(2);
    let id = world.install(&json!({"trunk": true}));
    begun(&world, "install");
    installer.kill();
    assert_eq!(world.ended(&id), "UNKNOWN");
    assert!(
        world
            .story(&id)
            .contains("the installer was lost after it had begun")
    );
    installer.start();
    let told = "the installer was stopped while it was under way";
    until("it says what its journal knows", || {
        world.story(&id).contains(told).then_some(())
    });
    // It is asked once, not all the time.
    let before = world.history(&id).len();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(world.history(&id).len(), before, "{}", world.story(&id));
    assert_eq!(world.status(&id), "UNKNOWN");
    let jobs = world.get(&format!("transactions/{id}"))["jobs"].clone();
    let jobs = jobs.as_array().unwrap();
    let job = jobs.iter().find(|job| job["state"] == "unknown").unwrap();
    let job = job["job"].as_str().unwrap();
    let path = format!("transactions/{id}/jobs/{job}/settle");
    let answer = world.post(&path, &json!({"settled": "done"}));
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(world.status(&id), "INSTALL_COMPLETED");
    assert_eq!(world.matrix().len(), 1);
    // Once is enough.
    let twice = world.post(&path, &json!({"settled": "failed"}));
    assert_eq!(twice.status, 422, "{}", twice.body);
    // The next install is not kept waiting.
    go(&world, "install");
    world.installed(&json!({"trunk": true}));
}

#[test]
fn what_a_killed_installer_had_begun_is_waited_for() {
    let (world, mut manager, mut builder, mut installer) = slow_world();
    let dir = world.path().display();
    let say = |what: &str| format!("echo {what} {{job}}.{{epoch}} >>{dir}/order");
    let wait = wait_for(world.path(), "install");
    let run = format!("{}; {wait}; {}", say("begins"), say("ends"));
    let stages = json!([{"name": "Wait", "concurrency": 1, "tasks": [
        {"command": "execute_command", "run": run}]}]);
    let behaviour = json!({"name": "template", "klass": "tasklist", "package": "windlass.install", "stages": stages});
    installer.write(&format!("{BEHAVIOUR}.yaml"), &behaviour.to_string());
    world.up(&mut manager);
    builder.start();
    installer.start();
    world.registered(2);
    let first = world.install(&json!({"trunk": true}));
    begun(&world, "install");
    installer.kill();
    assert_eq!(world.ended(&first), "UNKNOWN");
    installer.start();
    let told = "goes on still: look at the target, then settle it";
    until("it says that it goes on", || {
        world.story(&first).contains(told).then_some(())
    });
    let jobs = world.get(&format!("transactions/{first}"))["jobs"].clone();
    let mut jobs = jobs.as_array().unwrap().iter();
    let job = jobs.find(|job| job["state"] == "unknown").unwrap();
    let job = job["job"].as_str().unwrap();
    // Somebody is wrong about it; nothing begins beside it all the same.
    let path = format!("transactions/{first}/jobs/{job}/settle");
    let answer = world.post(&path, &json!({"settled": "failed"}));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let second = world.install(&json!({"trunk": true}));
    installer.says("goes on still, which install");
    let order = || fs::read_to_string(world.path().join("order")).unwrap();
    assert_eq!(order(), format!("begins {job}.1\n"));
    go(&world, "install");
    assert_eq!(world.ended(&second), "INSTALL_COMPLETED");
    let own = format!("{second}.i1.1");
    let wanted = format!("begins {job}.1\nends {job}.1\nbegins {own}\nends {own}\n");
    assert_eq!(order(), wanted);
}

/// Whether a process of a group lives.
fn goes_on(group: &str) -> bool {
    let listed = Command::new("ps").args(["-eo", "pgid=,stat="]).output();
    let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
    let mut processes = listed.lines().map(|line| line.split_whitespace());
    processes.any(|mut words| {
        words.next() == Some(group) && words.next().is_some_and(|stat| !stat.starts_with('Z'))
    })
}

#[test]
fn what_a_killed_builder_had_begun_is_ended() {
    let (world, mut manager, mut builder, mut installer) = slow_world();
    slow_build(&world, &builder);
    world.up(&mut manager);
    builder.start();
    installer.start();
    world.registered(2);
    let id = world.install(&json!({"trunk": true}));
    begun(&world, "build");
    let job = world.get(&format!("transactions/{id}"))["jobs"][0]["job"].clone();
    let job = job.as_str().unwrap();
    builder.kill();
    fs::remove_file(world.path().join("build-begun")).unwrap();
    let record = builder.at("work/groups").join(format!("{job}.1"));
    let record = fs::read_to_string(record).unwrap();
    // The last one: the checkout's is over.
    let group = record.lines().last().unwrap();
    let group = group.split(' ').next().unwrap();
    assert!(goes_on(group), "{record}");
    builder.start();
    begun(&world, "build");
    assert!(!goes_on(group), "{record}");
    go(&world, "build");
    assert_eq!(world.ended(&id), "INSTALL_COMPLETED");
    assert!(builder.list("work/groups").is_empty());
}

#[test]
fn nobody_waits_for_the_lease_of_an_agent_that_began_anew() {
    let (world, mut manager, mut builder, mut installer) = slow_world();
    slow_build(&world, &builder);
    slow_install(&world, &installer);
    // Nothing here waits for so long.
    manager.edit(MANAGER, "lease: 5", "lease: 600");
    world.up(&mut manager);
    builder.start();
    installer.start();
    world.registered(2);
    let id = world.install(&json!({"trunk": true}));
    begun(&world, "build");
    builder.kill();
    fs::remove_file(world.path().join("build-begun")).unwrap();
    builder.start();
    begun(&world, "build");
    go(&world, "build");
    begun(&world, "install");
    installer.kill();
    assert_eq!(world.status(&id), "BUILD_COMPLETED");
    installer.start();
    assert_eq!(world.ended(&id), "UNKNOWN", "{}", world.story(&id));
    let told = "the installer was stopped while it was under way";
    until("it says what its journal knows", || {
        world.story(&id).contains(told).then_some(())
    });
    go(&world, "install");
}

#[test]
fn an_installer_that_ended_unheard_is_known_by_its_journal() {
    let (world, mut manager, mut builder, mut installer) = slow_world();
    slow_install(&world, &installer);
    world.up(&mut manager);
    builder.start();
    installer.start();
    world.registered(2);
    let id = world.install(&json!({"trunk": true}));
    begun(&world, "install");
    manager.kill();
    go(&world, "install");
    installer.says("its end is not heard");
    installer.kill();
    world.up(&mut manager);
    assert_eq!(world.ended(&id), "UNKNOWN");
    installer.start();
    world.becomes(&id, "INSTALL_COMPLETED");
    assert!(world.story(&id).contains("as its journal says"));
    assert_eq!(world.matrix().len(), 1);
}

#[test]
fn an_install_goes_on_while_its_manager_is_away() {
    let (world, mut manager, mut builder, mut installer) = slow_world();
    slow_install(&world, &installer);
    world.up(&mut manager);
    builder.start();
    installer.start();
    world.registered(2);
    let id = world.install(&json!({"trunk": true}));
    begun(&world, "install");
    manager.kill();
    std::thread::sleep(Duration::from_secs(6));
    world.up(&mut manager);
    // Nothing is heard of the installer until its lease is over.
    crate::service::send(installer.pid(), "STOP");
    assert_eq!(world.ended(&id), "UNKNOWN");
    crate::service::send(installer.pid(), "CONT");
    world.becomes(&id, "BUILD_COMPLETED");
    go(&world, "install");
    assert_eq!(
        world.ended(&id),
        "INSTALL_COMPLETED",
        "{}",
        world.story(&id)
    );
    assert!(installer.at("install_base/done").exists());
}
