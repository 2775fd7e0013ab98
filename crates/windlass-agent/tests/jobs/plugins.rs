//! Behaviours in Python, over the plugin protocol.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use windlass_agent::work::{BehaviourConfig, TargetConfig, versions};
use windlass_builtins::plugins::{Plugins, Settings, load_behaviour};
use windlass_engine::registry::Work;
use windlass_model::ids::HostName;
use windlass_model::release::Ask;
use windlass_plugin::{Limits, clean_environment};

use crate::place::{Place, directory, map, trunk};

const BUILDER: &str = r#"
import os
from releasemanager.builder import BuildBehavior

class TemplateBuilder(BuildBehavior):
    """Builds."""
    def build(self, project, request, work_directory):
        if self.config.get("fail"):
            raise RuntimeError("no such luck")
        if self.config.get("climb"):
            return {"web": "../version"}
        with open(os.path.join(work_directory, "out.txt"), "w") as out:
            out.write("%s %s %s" % (project["name"], request["trunk"], self.config.word))
        return {"web": "out.txt", "static": "."}
"#;

const INSTALLER: &str = r#"
import shutil
from releasemanager.installer import InstallBehavior

class Copy(InstallBehavior):
    def __call__(self, resource):
        shutil.copy(resource, self.install_path)
        return not self.config.get("fail")

    def get_version(self):
        return "7.1"
"#;

fn plugins() -> Arc<Plugins> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap();
    Plugins::new(Settings {
        python_path: root.join("python"),
        env: clean_environment(std::env::vars()),
        limits: Limits::default(),
        log: Arc::new(|_, _, _, _, _| {}),
    })
}

fn python(package: &str, klass: &str, config: serde_json::Value) -> BehaviourConfig {
    BehaviourConfig {
        klass: klass.into(),
        package: package.into(),
        config: map(config),
    }
}

#[tokio::test]
async fn behaviours_in_python_build_and_install() {
    let mut place = Place::new();
    place.put("src/a.txt", "a");
    place.put("builder/template.py", BUILDER);
    place.put("installer/copy.py", INSTALLER);
    let (plugins, base) = (plugins(), place.root.path().to_owned());
    let mut registry = (*place.tools.registry).clone();
    for (work, package, klass) in [
        (Work::Build, "builder.template", "TemplateBuilder"),
        (Work::Install, "installer.copy", "Copy"),
    ] {
        load_behaviour(&mut registry, &plugins, &base, work, package, klass)
            .await
            .unwrap();
    }
    for (package, klass, said) in [
        ("builder.template", "Other", "it has: TemplateBuilder"),
        ("builder.none", "X", "there is neither"),
        ("builder..template", "X", "no package"),
    ] {
        let wrong =
            load_behaviour(&mut registry, &plugins, &base, Work::Build, package, klass).await;
        assert!(
            wrong.unwrap_err().to_string().contains(said),
            "{package}.{klass}"
        );
    }
    place.tools.registry = Arc::new(registry);

    let source = directory(&place, "src");
    let builder = |config| python("builder.template", "TemplateBuilder", config);
    let built = place
        .build(
            &source,
            &builder(json!({"word": "x"})),
            &["web", "static"],
            trunk(),
        )
        .await
        .unwrap();
    let web = &built.files[&"web".parse().unwrap()];
    assert_eq!(std::fs::read_to_string(web).unwrap(), "shop True x");
    let archive = &built.files[&"static".parse().unwrap()];
    assert_eq!(
        place.sh(&format!("unzip -Z1 {}", archive.display())),
        "a.txt\nout.txt"
    );
    for (config, targets, said) in [
        (json!({"fail": true}), vec!["web"], "no such luck"),
        (json!({"climb": true}), vec!["web"], "no path in the source"),
        (
            json!({"word": "x"}),
            vec!["web", "static", "third"],
            "target `third`: the build made no file",
        ),
        (
            json!({"word": "x"}),
            vec!["web"],
            "target `static`: the project has no such target",
        ),
    ] {
        let failure = place
            .build(&source, &builder(config), &targets, trunk())
            .await
            .unwrap_err();
        assert!(failure.message.contains(said), "{failure}");
    }

    let mut target = TargetConfig {
        install_path: Some(place.text("installed.txt")),
        behaviour: python("installer.copy", "Copy", json!({})),
    };
    place.install(&target, web, "1.0").await.unwrap();
    assert_eq!(place.read("installed.txt"), "shop True x");
    let (environment, name, machine) = (
        "test".parse().unwrap(),
        "web".parse().unwrap(),
        HostName::new("box"),
    );
    let rows = versions(
        Ask::GetVersion,
        &environment,
        &name,
        &target,
        &machine,
        &place.tools,
        place.job(),
    )
    .await;
    assert_eq!(rows.unwrap()[0].version.as_ref().unwrap().as_str(), "7.1");
    target.behaviour.config.insert("fail".into(), true.into());
    let failed = place.install(&target, web, "1.0").await.unwrap_err();
    assert!(
        failed.failure.message.contains("said no"),
        "{:?}",
        failed.failure
    );
    plugins.close().await;
}
