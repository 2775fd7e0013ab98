//! Names to code: commands and generators.

use std::collections::BTreeMap;
use std::sync::Arc;

use windlass_model::diagnostic::nearest;

use crate::command::{AnyCommandKind, CommandKind, Typed};
use crate::generator::Generator;

/// What can be named in a tasklist (`command`) and in a config (`platform`). A later registration of a name
/// replaces the earlier, so a user's own come before built-in ones.
#[derive(Clone, Default)]
pub struct Registry {
    commands: BTreeMap<String, Arc<dyn AnyCommandKind>>,
    generators: BTreeMap<String, Arc<dyn Generator>>,
}

impl Registry {
    /// Nothing registered.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a typed command.
    pub fn command(&mut self, kind: impl CommandKind) -> &mut Self {
        self.any_command(Arc::new(Typed::new(kind)))
    }

    /// Registers any command.
    pub fn any_command(&mut self, kind: Arc<dyn AnyCommandKind>) -> &mut Self {
        self.commands.insert(kind.name().to_owned(), kind);
        self
    }

    /// Registers a generator under its name.
    pub fn generator(&mut self, generator: Arc<dyn Generator>) -> &mut Self {
        self.generators
            .insert(generator.name().to_owned(), generator);
        self
    }

    /// The command of a name.
    pub fn find_command(&self, name: &str) -> Option<&Arc<dyn AnyCommandKind>> {
        self.commands.get(name)
    }

    /// The generator of a name.
    pub fn find_generator(&self, name: &str) -> Option<&Arc<dyn Generator>> {
        self.generators.get(name)
    }

    /// The known command that is nearest to a name that is not known.
    pub fn near_command(&self, name: &str) -> Option<&str> {
        nearest(name, self.commands.keys().map(String::as_str))
    }

    /// The known generator that is nearest to a name that is not known.
    pub fn near_generator(&self, name: &str) -> Option<&str> {
        nearest(name, self.generators.keys().map(String::as_str))
    }

    /// All commands by name.
    pub fn commands(&self) -> impl Iterator<Item = &Arc<dyn AnyCommandKind>> {
        self.commands.values()
    }

    /// All generators by name.
    pub fn generators(&self) -> impl Iterator<Item = &Arc<dyn Generator>> {
        self.generators.values()
    }
}
