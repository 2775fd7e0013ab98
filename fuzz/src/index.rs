//! A release's table of contents: what is taken names files without folders, and is written as it was read.

use windlass_model::release::Index;

/// See the module.
pub fn check(data: &[u8]) {
    crate::json_stays::<Index>(data);
}
