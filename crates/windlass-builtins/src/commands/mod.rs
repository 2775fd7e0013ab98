//! The built-in commands, one a file. `commands.md` of the documentation lists them; it is generated from here.

pub mod args;
pub mod dbmigration;
pub mod execute_command;
pub mod scripted;
pub mod shell_line;
pub mod test_command;
#[cfg(test)]
pub(crate) mod trial;

use windlass_engine::registry::Registry;

/// Registers every built-in command.
pub fn register(registry: &mut Registry) {
    registry.command(dbmigration::DbMigration);
    registry.command(execute_command::ExecuteCommand);
    registry.command(test_command::TestCommand);
}
