//! Whoever reads what is installed never sees half a release.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::service::Form;
use crate::sources;
use crate::world::{RECIPE, World};

#[test]
fn files_of_one_release_are_seen_together() {
    let world = World::new(Form::Yaml);
    let (_manager, mut builder, installers) = world.all(1);
    let repository = world.path().join("repository");
    let (url, _) = sources::git(&repository);
    builder.kill();
    let recipe = format!(
        "klass: commands\nvcs: {{git: \"{url}\"}}\ntargets: {{template: {{from: site}}}}\ncommands: [\"cp site/index.html site/same.html\"]\n"
    );
    builder.write(&format!("{RECIPE}.yaml"), &recipe);
    builder.start();
    builder.says("registered with");
    world.installed(&json!({"branch": "next"}));
    world.installed(&json!({"tag": "v1.0"}));
    let over = Arc::new(AtomicBool::new(false));
    let folder = installers[0].at("install_base/template");
    let reader = {
        let over = over.clone();
        std::thread::spawn(move || {
            let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
            let (mut looks, mut changes, mut last) = (0, 0, String::new());
            while !over.load(Ordering::Relaxed) {
                let (before, same, after) =
                    (read("index.html"), read("same.html"), read("index.html"));
                // Between two looks at one release there is no other.
                if before == after {
                    assert_eq!(before, same);
                }
                changes += u32::from(before != last);
                last = before;
                looks += 1;
            }
            (looks, changes)
        })
    };
    let releases = world.get("releases");
    let names: Vec<_> = releases
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["release"].clone())
        .collect();
    for _ in 0..4 {
        for name in &names {
            world.installed(&json!({"release": name}));
        }
    }
    over.store(true, Ordering::Relaxed);
    let (looks, changes) = reader.join().unwrap();
    assert!(
        looks > 100 && changes >= 8,
        "{looks} looks, {changes} changes"
    );
}
