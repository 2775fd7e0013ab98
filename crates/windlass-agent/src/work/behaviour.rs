//! Which generator a config names.

use std::sync::Arc;

use serde_json::{Map, Value};
use windlass_engine::generator::Generator;
use windlass_engine::registry::{Registry, Work};
use windlass_model::diagnostic::nearest;

use super::{Failure, FailureKind};

/// The package of the built-in build behaviours.
const BUILD: &str = "windlass.build";
/// The package of the built-in install behaviours.
const INSTALL: &str = "windlass.install";
/// The package of the generators that a deploy's config may name as its `platform`.
const GENERATOR: &str = "windlass.generator";

/// A behaviour as a config names it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BehaviourConfig {
    /// The name of what is built in, or of a class.
    pub klass: String,
    /// `windlass.build`, `windlass.install`, `windlass.generator`, or the dotted path of a file in the installation, which is
    /// registered as a behaviour `<package>.<klass>`.
    pub package: String,
    /// The rest of the config: the behaviour's own. A secret stands as `{"$secret": ...}`.
    pub config: Map<String, Value>,
}

impl BehaviourConfig {
    /// Its generator. `tasklist` with a `generator` in its config is the generator of that name.
    pub(super) fn find(
        &self,
        registry: &Registry,
        work: Work,
    ) -> Result<Arc<dyn Generator>, Failure> {
        let generator = self.config.get("generator").and_then(Value::as_str);
        let own = match work {
            Work::Build => BUILD,
            Work::Install => INSTALL,
        };
        let built_in = self.package == own || self.package.is_empty();
        let found = match generator {
            Some(name) if built_in && self.klass == "tasklist" => registry.find_generator(name),
            _ if self.package == GENERATOR => registry.find_generator(&self.klass),
            _ if built_in => registry
                .find_behaviour(work, &self.klass)
                .or_else(|| registry.find_behaviour(work, &snake_case(&self.klass))),
            _ => registry.find_behaviour(work, &format!("{}.{}", self.package, self.klass)),
        };
        found.cloned().ok_or_else(|| self.unknown(registry, work))
    }

    fn unknown(&self, registry: &Registry, work: Work) -> Failure {
        let what = match work {
            Work::Build => "build",
            Work::Install => "install",
        };
        if self.package == GENERATOR {
            let hint = match registry.near_generator(&self.klass) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "your own goes into `generators/` of the installation".into(),
            };
            let message = format!("there is no generator `{}`; {hint}", self.klass);
            return Failure::new(FailureKind::Input, message);
        }
        let known: Vec<&str> = registry.behaviours(work).collect();
        let hint = match nearest(&self.klass, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known: {}", known.join(", ")),
        };
        let (klass, package) = (&self.klass, &self.package);
        Failure::new(
            FailureKind::Input,
            format!("there is no {what} behaviour `{klass}` in `{package}`; {hint}"),
        )
    }
}

/// `PutFile` -> `put_file`: in configs of old a name is a class's.
fn snake_case(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}
