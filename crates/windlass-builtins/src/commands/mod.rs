//! The built-in commands, one a file. `commands.md` of the documentation lists them; it is generated from here.

pub mod args;
pub mod scripted;

use windlass_engine::registry::Registry;

/// Registers every built-in command.
pub fn register(_registry: &mut Registry) {}
