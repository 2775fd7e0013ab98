//! A deployer of one's own: Windlass's built-in commands, and a command and a generator that only this program has.

mod greet;
mod greeting;
mod help;

use std::error::Error;
use std::io;
use std::sync::Arc;

use windlass_engine::registry::Registry;
use windlass_model::config::Config;
use windlass_model::tasklist::{self, Tasklist};
use windlass_model::tree::{Map, Node};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let tasklist = generate(&registry(), config(&["local", "fe001"])).await?;
    tasklist::write(&tasklist, &mut io::stdout().lock())?;
    Ok(())
}

/// What Windlass has, and what is ours. One of ours would replace a built-in one of the same name.
fn registry() -> Registry {
    let mut registry = Registry::new();
    windlass_builtins::commands::register(&mut registry);
    registry.command(greet::Greet);
    registry.generator(Arc::new(greeting::Greeting));
    registry
}

/// A config as `platform: greeting` and `hosts: [...]` give it.
fn config(hosts: &[&str]) -> Config {
    let mut tree = Map::default();
    tree.set("platform", "greeting");
    tree.set("hosts", hosts.to_vec());
    Config {
        source: None,
        tree: Node::from(tree),
        platform: "greeting".to_owned(),
    }
}

async fn generate(registry: &Registry, config: Config) -> Result<Tasklist, Box<dyn Error>> {
    let platform = config.platform.clone();
    let generator = registry
        .find_generator(&platform)
        .ok_or_else(|| format!("there is no generator `{platform}`"))?;
    Ok(generator.generate(&help::ConfigOnly(config)).await?)
}

#[cfg(test)]
mod tests;
