//! Behaviours as configs name them, and the plugins behind them.

use std::path::Path;
use std::sync::Arc;

use windlass_agent::work::BehaviourConfig;
use windlass_builtins::plugins::{Plugins, load_behaviour};
use windlass_engine::registry::{Registry, Work};
use windlass_model::installation::{Code, Settings};

use crate::ending::Ending;

/// What a job is told of a behaviour; one that is a plugin's is registered.
pub(super) async fn behaviour(
    registry: &mut Registry,
    plugins: &Arc<Plugins>,
    base: &Path,
    work: Work,
    (code, settings): (&Code, &Settings),
) -> Result<BehaviourConfig, Ending> {
    let own = match work {
        Work::Build => "windlass.build",
        Work::Install => "windlass.install",
    };
    let (package, klass) = match code {
        Code::BuiltIn(name) => (own.to_owned(), name.clone()),
        Code::Own { package, klass } => {
            load_behaviour(registry, plugins, base, work, package, klass).await?;
            (package.clone(), klass.clone())
        }
    };
    Ok(BehaviourConfig {
        klass,
        package,
        config: settings.json(),
    })
}
