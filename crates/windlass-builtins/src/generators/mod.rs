//! The built-in generators, and what every generator is given.

pub mod help;
mod packages;
pub mod rolling;
pub mod test;
mod versions;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use windlass_engine::registry::Registry;

pub use help::GeneratorHelp;

/// Registers every built-in generator.
pub fn register(registry: &mut Registry) {
    registry.generator(Arc::new(test::TestGenerator));
    registry.generator(Arc::new(rolling::Rolling));
}
