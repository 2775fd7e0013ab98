//! Which plugins are found, and what they make.

use std::time::Duration;

use serde_json::json;
use windlass_builtins::plugins::{Wanted, load, load_all};
use windlass_model::diagnostic::Diagnostics;
use windlass_model::package::Package;
use windlass_plugin::Limits;

use crate::fakes::{FakeHelp, Rig, rig, rig_with};

const TWO_COMMANDS: &str = "
from deployerlib.command import Command

class First(Command):
    \"\"\"The first.\"\"\"
    def initialize(self): return True
    def execute(self): return True

class Second(Command):
    def initialize(self): return True
    def execute(self): return True
";

fn commands<'a>(names: &[&str]) -> Wanted<'a> {
    Wanted {
        platform: None,
        commands: names.iter().map(|n| (*n).to_owned()).collect(),
    }
}

async fn loaded(rig: &mut Rig, wanted: &Wanted<'_>) -> Result<Vec<String>, Diagnostics> {
    let (plugins, base) = (rig.plugins.clone(), rig.base());
    load(&mut rig.registry, &plugins, &[base], wanted).await
}

/// A generator in Python whose `generate` is `body`.
async fn generated(body: &str, help: &FakeHelp) -> Result<String, String> {
    let mut rig = rig();
    let indented = body.replace('\n', "\n        ");
    let text = format!(
        "from deployerlib.generator import Generator\n\nclass TestGenerator(Generator):\n    def generate(self):\n        {indented}\n"
    );
    rig.put("generators/test.py", &text);
    let wanted = Wanted {
        platform: Some("test"),
        ..Wanted::default()
    };
    loaded(&mut rig, &wanted).await.map_err(|e| e.to_string())?;
    let generator = rig.registry.find_generator("test").unwrap();
    let made = generator.generate(help).await;
    rig.plugins.close().await;
    let mut text = Vec::new();
    windlass_model::tasklist::write(&made.map_err(|e| e.to_string())?, &mut text).unwrap();
    Ok(String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn a_command_is_looked_for_by_file_then_by_what_files_offer() {
    let mut rig = rig();
    rig.put("commands/first.py", TWO_COMMANDS);
    let used = loaded(&mut rig, &commands(&["first"])).await.unwrap();
    assert_eq!(used, ["Using command first of commands/first.py"]);
    assert!(rig.registry.find_command("second").is_none());

    rig.put("commands/broken", "#!/bin/sh\necho no plugin\n");
    let used = loaded(&mut rig, &commands(&["second"])).await.unwrap();
    assert!(
        used[0].starts_with("Ignoring commands/broken: the plugin `commands/broken` wrote"),
        "{used:?}"
    );
    assert_eq!(
        used.last().unwrap(),
        "Using command second of commands/first.py"
    );
    let first = rig.registry.find_command("first").unwrap();
    assert_eq!(first.about(), "The first.");
}

#[tokio::test]
async fn a_registered_command_is_replaced_only_by_a_file_of_its_name() {
    let mut rig = rig();
    rig.put("commands/first.py", TWO_COMMANDS);
    loaded(&mut rig, &commands(&["second"])).await.unwrap();
    let again = loaded(&mut rig, &commands(&["first", "second"]))
        .await
        .unwrap();
    assert_eq!(
        again,
        ["Using command first of commands/first.py, not the built-in one"]
    );
}

#[tokio::test]
async fn everything_can_be_loaded_to_be_listed() {
    let mut rig = rig();
    rig.put("commands/things.py", TWO_COMMANDS);
    let (plugins, base) = (rig.plugins.clone(), rig.base());
    load_all(&mut rig.registry, &plugins, &[base])
        .await
        .unwrap();
    let names: Vec<&str> = rig.registry.commands().map(|k| k.name()).collect();
    assert_eq!(names, ["first", "second"]);
}

#[tokio::test]
async fn all_faults_of_loading_are_told_at_once() {
    let mut rig = rig();
    rig.put("commands/other.py", TWO_COMMANDS);
    rig.put(
        "commands/syntax.py",
        "from deployerlib.command import Command\nclass (\n",
    );
    rig.put("commands/rubbish", "#!/bin/sh\necho hello\n");
    let text = loaded(&mut rig, &commands(&["other", "syntax", "rubbish"]))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("commands/other.py does not offer the command `other`"),
        "{text}"
    );
    assert!(text.contains("it offers: first, second"), "{text}");
    assert!(text.contains("commands/syntax.py: SyntaxError"), "{text}");
    assert!(
        text.contains("commands/rubbish: the plugin `commands/rubbish` wrote a line"),
        "{text}"
    );
}

#[tokio::test]
async fn a_generator_gets_config_packages_versions_and_stages() {
    let mut help = FakeHelp::new(json!({
        "platform": "test",
        "password": {"$secret": {"env": "PW"}},
        "directory": "/releases/1",
    }));
    help.packages = Ok(vec![Package {
        service: "shop".into(),
        version: "2".into(),
        filename: "shop_2.tar.gz".into(),
        path: "/p/shop_2.tar.gz".into(),
        sha256: "0".repeat(64),
    }]);
    let body = "
packages = self.get_packages()
versions = self.get_remote_versions(packages)
task = {'command': 'c', 'directory': self.config.directory, 'password': self.config.password,
        'versions': versions, 'version': packages[0].version, 'none': self.get_graphite_stage('none') is None}
return {'name': 'T', 'stages': [{'name': 'S', 'concurrency': 1, 'tasks': [task]}, self.get_graphite_stage('x')]}";
    let text = generated(body, &help).await.unwrap();
    let made: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        made["stages"][0]["tasks"][0],
        json!({
            "command": "c",
            "directory": "/releases/1",
            "password": {"$secret": {"env": "PW"}},
            "versions": {"shop": {"a": "1", "b": null}},
            "version": "2",
            "none": true,
        })
    );
    assert_eq!(made["stages"][1]["name"], "Graphite");
    assert_eq!(made["stages"][1]["tasks"][0]["metric_name"], "x");
}

#[tokio::test]
async fn a_wrong_tasklist_is_shown_as_the_plugin_made_it() {
    let help = FakeHelp::new(json!({"platform": "test"}));
    let body = "return {'name': 'T', 'stages': [{'name': 'S', 'concurrency': 0, 'tsaks': []}]}";
    let text = generated(body, &help).await.unwrap_err();
    assert!(text.contains("<tasklist of generators/test.py>:"), "{text}");
    assert!(
        text.contains("tsaks") && text.contains("concurrency"),
        "{text}"
    );
    let text = generated("return 7", &help).await.unwrap_err();
    assert!(
        text.contains("gave a whole number instead of a tasklist"),
        "{text}"
    );
}

#[tokio::test]
async fn faults_of_generating_keep_their_words() {
    let mut help = FakeHelp::new(json!({"platform": "test"}));
    let text = generated("raise ValueError('no idea')", &help)
        .await
        .unwrap_err();
    assert!(
        text.contains("generator `test`: ValueError: no idea"),
        "{text}"
    );
    assert!(help.logged.lock().unwrap()[0].contains("Traceback"));
    help.packages = Err("service `x` is not known".into());
    let text = generated("return self.get_packages()", &help)
        .await
        .unwrap_err();
    assert_eq!(text, "error: service `x` is not known\n  = hint: a hint\n");
}

#[tokio::test]
async fn a_generator_that_loops_is_stopped() {
    let mut rig = rig_with(Limits {
        call_time: Duration::from_secs(3),
        ..Limits::default()
    });
    rig.put(
        "generators/test.py",
        "from deployerlib.generator import Generator\nclass TestGenerator(Generator):\n    def generate(self):\n        while True: pass\n",
    );
    let wanted = Wanted {
        platform: Some("test"),
        ..Wanted::default()
    };
    loaded(&mut rig, &wanted).await.unwrap();
    let generator = rig.registry.find_generator("test").unwrap();
    let help = FakeHelp::new(json!({"platform": "test"}));
    let text = generator.generate(&help).await.unwrap_err().to_string();
    assert!(
        text.contains("gave no answer to `generate` within 3 s"),
        "{text}"
    );
}
