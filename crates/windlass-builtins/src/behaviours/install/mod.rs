//! Install behaviours: what becomes of a resource.

mod place;
pub(super) mod put_file;
pub(super) mod release_symlink;
pub(super) mod tasklist;
pub(super) mod unarchive;
mod variables;
