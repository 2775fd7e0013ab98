//! `windlass python`: where the carried Python package is.

use clap::Args;

use crate::ending::Ending;
use crate::output::print;
use crate::program::Program;

/// Prints the folder of the Python package that plugins and scripts import
#[derive(Debug, Args)]
pub(crate) struct Python {}

impl Python {
    /// Unpacks it if need be.
    pub(crate) fn run(self, program: &Program) -> Result<(), Ending> {
        let path = crate::python::unpack(&program.surroundings.cache)
            .map_err(|e| Ending::own("the Python package cannot be unpacked", e))?;
        print(&format!("{}\n", path.display()))
    }
}
