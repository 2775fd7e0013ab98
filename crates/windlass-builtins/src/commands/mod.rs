//! The built-in commands, one a file. `commands.md` of the documentation lists them; it is generated from here.

pub mod args;
pub mod scripted;

mod paths;
mod render;
mod report;
mod script;

mod archive;
mod cleanup;
mod copyfile;
mod createdirectory;
mod deploy_properties;
mod getremoteversions;
mod listdirectory;
mod movefile;
mod removefile;
mod symlink;
mod template;
mod unpack;
mod upload;
mod writefile;

use windlass_engine::registry::Registry;

/// Registers every built-in command.
pub fn register(registry: &mut Registry) {
    registry.command(archive::Archive);
    registry.command(cleanup::Cleanup);
    registry.command(copyfile::CopyFile);
    registry.command(createdirectory::CreateDirectory);
    registry.command(deploy_properties::DeployProperties);
    registry.command(getremoteversions::GetRemoteVersions);
    registry.command(listdirectory::ListDirectory);
    registry.command(movefile::MoveFile);
    registry.command(removefile::RemoveFile);
    registry.command(symlink::Symlink);
    registry.command(template::Template);
    registry.command(unpack::Unpack);
    registry.command(upload::Upload);
    registry.command(writefile::WriteFile);
}
