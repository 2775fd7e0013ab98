//! Commands, generators and behaviours that plugins back.
//!
//! A file `generators/PLATFORM` or `commands/NAME` beside the config (commands: also beside the tasklist) is a plugin:
//! an executable that speaks the protocol of `windlass-plugin`, or a `.py` file. [`load()`] finds those that a run
//! needs and registers what they offer; [`Plugins`] owns their processes until the end of the run.

mod behaviour;
mod command;
mod execute;
mod find;
mod generator;
mod load;
mod owner;

pub use behaviour::load_behaviour;
pub use command::{PluginCommand, PluginCommandKind};
pub use find::{find, list};
pub use generator::PluginGenerator;
pub use load::{Wanted, load, load_all};
pub use owner::{LogSink, Plugins, Settings};
