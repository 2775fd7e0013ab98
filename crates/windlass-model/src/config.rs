//! The platform config of a deploy.

use std::sync::Arc;

use crate::diagnostic::{Diagnostics, Source};
use crate::tree::Node;

/// A platform config: the tree as written, merged with the command line's options.
#[derive(Clone, Debug)]
pub struct Config {
    /// The text, if there is one.
    pub source: Option<Arc<Source>>,
    /// The merged tree; a map.
    pub tree: Node,
    /// The generator's name.
    pub platform: String,
}

/// Reads a config and checks what every platform shares. `options` override top-level keys of their names.
/// Gives warnings beside it.
pub fn read(
    _source: &Arc<Source>,
    _options: &crate::tree::Map,
) -> Result<(Config, Diagnostics), Diagnostics> {
    todo!()
}
