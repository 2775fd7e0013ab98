//! Names to code: commands, generators, and the generators that are build and install behaviours.

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
    behaviours: BTreeMap<(Work, String), Arc<dyn Generator>>,
}

/// What a behaviour is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Work {
    /// Builds a project: its config holds [`windlass_model::release::BuildFacts`].
    Build,
    /// Installs a resource: its config holds [`windlass_model::release::InstallFacts`].
    Install,
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

    /// Registers a generator as a behaviour, under its name. A builder's and an installer's may have the same.
    pub fn behaviour(&mut self, work: Work, generator: Arc<dyn Generator>) -> &mut Self {
        let key = (work, generator.name().to_owned());
        self.behaviours.insert(key, generator);
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

    /// The behaviour of a name.
    pub fn find_behaviour(&self, work: Work, name: &str) -> Option<&Arc<dyn Generator>> {
        self.behaviours.get(&(work, name.to_owned()))
    }

    /// The names of all behaviours for such work.
    pub fn behaviours(&self, work: Work) -> impl Iterator<Item = &str> {
        let all = self.behaviours.keys().filter(move |key| key.0 == work);
        all.map(|key| key.1.as_str())
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
