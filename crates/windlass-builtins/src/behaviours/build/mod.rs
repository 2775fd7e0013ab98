//! Build behaviours: what a source becomes, one resource for each named target.

pub(super) mod commands;
pub(super) mod directory;
mod resources;
