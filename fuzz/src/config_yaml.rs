//! The YAML of deploys and installations: what is taken is a tree that JSON can say, every question that is asked of it has an
//! answer or a fault, and every fault can be told.

use windlass_model::config;
use windlass_model::diagnostic::{Diagnostics, Source};
use windlass_model::installation::{Form, parse};
use windlass_model::tree::{Map, parse_json, parse_yaml, to_json, write_json};

/// See the module.
pub fn check(data: &[u8]) {
    if let Ok(document) = parse("release_manager_x.yaml", data.to_vec(), Form::Yaml) {
        crate::config_xml::ask(&document);
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let source = Source::new("windlass.yaml", text);
    if let Ok(tree) = parse_yaml(&source) {
        let mut json = Vec::new();
        // but for numbers that are none
        if write_json(&tree, &mut json).is_ok() {
            let json = String::from_utf8(json).expect("UTF-8");
            let again = parse_json(&Source::new("again.json", json.as_str()))
                .unwrap_or_else(|faults| panic!("{faults}\n{json}"));
            assert_eq!(to_json(&again), to_json(&tree));
        }
    }
    match config::read(&source, &Map::default()) {
        Err(faults) => told(&faults),
        Ok((config, warnings)) => {
            told(&warnings);
            tell(config.hostgroups().err());
            tell(config.services().err());
            tell(config.hosts().err());
            tell(config.user().err());
            tell(config.plugin_time_limit().err());
            for entry in config.map().iter() {
                tell(config.text(&entry.key).err());
                tell(config.texts(&entry.key).err());
                tell(config.secret(&entry.key).err());
                tell(config.truth(&entry.key).err());
            }
        }
    }
}

fn tell(faults: Option<Diagnostics>) {
    if let Some(faults) = faults {
        told(&faults);
    }
}

fn told(faults: &Diagnostics) {
    let _ = faults.to_string();
}
