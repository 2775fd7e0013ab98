//! Bad input: what, where, what to do; exit status 2, and nothing begun.

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation does")]

mod support;

use support::Place;

/// A config of platform rolling with one service, whose hosts are local.
const CONFIG: &str = "platform: rolling\nservice:\n  shop:\n    hosts: [local]\n    destination: @DIR@/tarballs\n    \
                      install_location: @DIR@/webapps\n";

/// Runs, expects exit status 2 and no record of a run, and shows what was said.
fn refused(place: &Place, arguments: &[&str]) -> String {
    let ran = place.windlass(arguments);
    assert_eq!(
        ran.status, 2,
        "stdout:\n{}\nstderr:\n{}",
        ran.stdout, ran.stderr
    );
    assert!(
        !place.path().join(".state/windlass/runs").exists(),
        "a run was begun"
    );
    ran.shown(place)
}

fn config(text: &str) -> String {
    let place = Place::new();
    place.write("windlass.yaml", text);
    place.write("shop_1.0.tar.gz", "not looked into when planning");
    refused(&place, &["plan", "--component", "shop_1.0.tar.gz"])
}

fn tasklist(text: &str) -> String {
    let place = Place::new();
    place.write("tasks.json", text);
    refused(&place, &["plan", "--tasklist", "tasks.json"])
}

#[test]
fn missing_file() {
    let place = Place::new();
    insta::assert_snapshot!(refused(&place, &["deploy", "--config", "nowhere.yaml"]));
}

#[test]
fn no_config_at_all() {
    let place = Place::new();
    insta::assert_snapshot!(refused(
        &place,
        &["deploy", "--component", "shop_1.0.tar.gz"]
    ));
}

#[test]
fn bad_yaml() {
    insta::assert_snapshot!(config("platform: rolling\nservice: {shop: [\n"));
}

#[test]
fn tabs() {
    insta::assert_snapshot!(config(
        "platform: rolling\nservice:\n\tshop:\n\t\thosts: [local]\n"
    ));
}

#[test]
fn duplicate_key() {
    insta::assert_snapshot!(config("platform: rolling\nservice: {}\nplatform: test\n"));
}

#[test]
fn unknown_platform() {
    insta::assert_snapshot!(config("platform: roling\n"));
}

#[test]
fn missing_platform() {
    insta::assert_snapshot!(config("service: {}\n"));
}

#[test]
fn faults_of_a_config_come_all_at_once() {
    insta::assert_snapshot!(config(
        "platform: rolling\nmax_failures: many\ndeploy_concurrency: 0\nservice:\n  shop:\n    hots: [local]\n    \
         control: {upstart: shop}\n  web:\n    hosts: [local]\n    check: [1]\n    install_location: '/opt/{hosst}'\n"
    ));
}

#[test]
fn openly_written_secret() {
    insta::assert_snapshot!(config(
        "platform: rolling\nsudo_password: hunter2hunter2\nservice: {}\n"
    ));
}

#[test]
fn unknown_command_with_a_near_name() {
    insta::assert_snapshot!(tasklist(
        r#"{"name": "x", "stages": [{"name": "Upload", "concurrency": 1, "tasks": [
  {"command": "uplaod", "source": "a", "destination": "/b"}]}]}"#
    ));
}

#[test]
fn missing_mistyped_and_unknown_arguments_at_once() {
    insta::assert_snapshot!(tasklist(
        r#"{"name": "x", "stages": [{"name": "Work", "concurrency": 2, "tasks": [
  {"command": "symlink", "source": "/opt/a"},
  {"command": "createdirectory", "source": "/opt/b", "clobber": "yes"},
  [{"command": "removefile", "source": "/opt/c", "remote_hots": "fe1"}, {"command": "execute_command", "rum": "true"}]
]}]}"#
    ));
}

#[test]
fn concurrency_zero_and_chain_in_a_chain() {
    insta::assert_snapshot!(tasklist(
        r#"{"name": "x", "stages": [
  {"name": "A", "concurrency": 0, "tasks": []},
  {"name": "B", "concurrency": 1, "tasks": [[{"command": "test_command", "message": "m"}, [{"command": "test_command", "message": "m"}]], []]},
  {"name": "C", "concurency": 1, "tasks": []}
]}"#
    ));
}

#[test]
fn relative_and_dangerous_paths() {
    insta::assert_snapshot!(tasklist(
        r#"{"name": "x", "stages": [{"name": "A", "concurrency": 1, "tasks": [
  {"command": "removefile", "source": "/"},
  {"command": "removefile", "source": "tmp/x"},
  {"command": "createdirectory", "source": "/usr", "clobber": true},
  {"command": "copyfile", "source": "/a/../b", "destination": "/c"}
]}]}"#
    ));
}

#[test]
fn secret_in_a_shell_line() {
    insta::assert_snapshot!(tasklist(
        r#"{"name": "x", "stages": [{"name": "A", "concurrency": 1, "tasks": [
  {"command": "execute_command", "run": {"$secret": {"env": "TOKEN"}}}]}]}"#
    ));
}

#[test]
fn secret_that_is_not_there() {
    let place = Place::new();
    place.write(
        "tasks.json",
        r#"{"name": "x", "stages": [{"name": "A", "concurrency": 1, "tasks": [
  {"command": "execute_command", "run": "true", "env": {"A": {"$secret": {"env": "WL_NOT_SET"}}, "B": {"$secret": {"file": "nofile"}}, "C": {"$secret": {"command": ["false"]}}}}]}]}"#,
    );
    insta::assert_snapshot!(refused(&place, &["deploy", "--tasklist", "tasks.json"]));
}

#[test]
fn package_of_an_unknown_service() {
    let place = Place::new();
    place.write("windlass.yaml", CONFIG);
    place.write("shpo_1.0.tar.gz", "x");
    insta::assert_snapshot!(refused(
        &place,
        &["deploy", "--component", "shpo_1.0.tar.gz"]
    ));
}

#[test]
fn package_that_is_not_there() {
    let place = Place::new();
    place.write("windlass.yaml", CONFIG);
    insta::assert_snapshot!(refused(
        &place,
        &["deploy", "--component", "shop_1.0.tar.gz"]
    ));
}

#[test]
fn empty_release_directory() {
    let place = Place::new();
    place.write("windlass.yaml", CONFIG);
    std::fs::create_dir(place.path().join("release")).unwrap();
    insta::assert_snapshot!(refused(&place, &["deploy", "--directory", "release"]));
}

#[test]
fn service_missing_from_deployment_order() {
    insta::assert_snapshot!(config(
        "platform: rolling\ndeployment_order: [web]\nservice:\n  shop: {hosts: [local]}\n  web: {hosts: [local]}\n  api: {hosts: [local]}\n"
    ));
}

#[test]
fn saved_plan_whose_file_has_changed() {
    let place = Place::new();
    place.write(
        "tasks.json",
        r#"{"name": "x", "stages": [{"name": "A", "concurrency": 1, "tasks": [
  {"command": "upload", "source": "@DIR@/data", "destination": "@DIR@/out"}]}]}"#,
    );
    place.write("data", "one");
    place
        .windlass(&["plan", "--tasklist", "tasks.json", "--save", "plan.json"])
        .expect(0);
    place.write("data", "two");
    insta::assert_snapshot!(refused(&place, &["deploy", "--tasklist", "plan.json"]));
    assert!(!place.path().join("out").exists());
}

#[test]
fn plugin_that_prints_rubbish() {
    let place = Place::new();
    place.write("windlass.yaml", "platform: mine\n");
    place.program(
        "generators/mine",
        "#!/bin/sh\necho 'hello, I am no message'\ncat >/dev/null\n",
    );
    insta::assert_snapshot!(refused(&place, &["plan"]));
}

#[test]
fn plugin_that_dies() {
    let place = Place::new();
    place.write("windlass.yaml", "platform: mine\n");
    place.program(
        "generators/mine",
        "#!/bin/sh\nread line\necho 'no module named X' >&2\nexit 7\n",
    );
    insta::assert_snapshot!(refused(&place, &["plan"]));
}

#[test]
fn plugin_that_is_not_executable() {
    let place = Place::new();
    place.write("windlass.yaml", "platform: mine\n");
    place.write("generators/mine", "#!/bin/sh\n");
    insta::assert_snapshot!(refused(&place, &["plan"]));
}

#[test]
fn python_plugin_with_a_fault() {
    let place = Place::new();
    place.write("windlass.yaml", "platform: mine\n");
    place.write("generators/mine.py", "from deployerlib.generator import Generator\nclass Mine(Generator):\n    def generate(self):\n        return self.config['nothing']\n");
    insta::assert_snapshot!(refused(&place, &["plan"]));
}

#[test]
fn generator_that_gives_no_tasklist() {
    let place = Place::new();
    place.write("windlass.yaml", "platform: mine\n");
    place.write("generators/mine.py", "from deployerlib.generator import Generator\nclass Mine(Generator):\n    def generate(self):\n        return {'name': 'x', 'stages': [{'name': 'A', 'concurrency': 1, 'tasks': [{'command': 'nothing_known'}]}, {'nam': 1}]}\n");
    insta::assert_snapshot!(refused(&place, &["plan"]));
}
