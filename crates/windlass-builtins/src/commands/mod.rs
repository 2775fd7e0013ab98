//! The built-in commands, one a file. `commands.md` of the documentation lists them; it is generated from here.

mod archive;
pub mod args;
pub mod check_loadbalancer;
pub mod check_service;
mod checkout;
mod cleanup;
pub(crate) mod collect;
pub mod control;
pub mod control_service;
mod copyfile;
mod createdirectory;
pub mod dbmigration;
pub mod deploy_and_restart;
mod deploy_properties;
pub mod disable_loadbalancer;
pub mod enable_loadbalancer;
pub mod execute_command;
mod getremoteversions;
pub mod haproxy;
pub mod http_notify;
mod installed_version;
mod listdirectory;
mod movefile;
pub mod notice;
mod paths;
mod putfile;
pub mod reload_service;
mod removefile;
mod render;
mod replacedirectory;
mod report;
pub mod restart_service;
pub(crate) mod script;
pub mod scripted;
pub mod send_graphite;
pub mod sequence;
pub mod service_action;
pub mod shell_line;
mod source_version;
pub mod start_service;
pub mod stop_service;
mod symlink;
mod template;
pub mod test_command;
#[cfg(test)]
pub(crate) mod trial;
mod unpack;
mod upload;
mod writefile;

use windlass_engine::registry::Registry;

/// Registers every built-in command.
pub fn register(registry: &mut Registry) {
    registry.command(check_loadbalancer::CheckLoadbalancer);
    registry.command(check_service::CheckService);
    registry.command(control_service::ControlService);
    registry.command(archive::Archive);
    registry.command(checkout::Checkout);
    registry.command(cleanup::Cleanup);
    registry.command(collect::Collect);
    registry.command(copyfile::CopyFile);
    registry.command(createdirectory::CreateDirectory);
    registry.command(dbmigration::DbMigration);
    registry.command(deploy_and_restart::DeployAndRestart);
    registry.command(deploy_properties::DeployProperties);
    registry.command(disable_loadbalancer::DisableLoadbalancer);
    registry.command(enable_loadbalancer::EnableLoadbalancer);
    registry.command(execute_command::ExecuteCommand);
    registry.command(getremoteversions::GetRemoteVersions);
    registry.command(http_notify::HttpNotify("http_notify"));
    registry.command(http_notify::HttpNotify("pipeline_notify"));
    registry.command(installed_version::InstalledVersion);
    registry.command(listdirectory::ListDirectory);
    registry.command(movefile::MoveFile);
    registry.command(putfile::PutFile);
    registry.command(reload_service::ReloadService);
    registry.command(removefile::RemoveFile);
    registry.command(replacedirectory::ReplaceDirectory);
    registry.command(restart_service::RestartService);
    registry.command(send_graphite::SendGraphite);
    registry.command(source_version::SourceVersion);
    registry.command(start_service::StartService);
    registry.command(stop_service::StopService);
    registry.command(symlink::Symlink);
    registry.command(template::Template);
    registry.command(test_command::TestCommand);
    registry.command(unpack::Unpack);
    registry.command(upload::Upload);
    registry.command(writefile::WriteFile);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_argument_is_documented_in_one_flat_schema() {
        let mut registry = Registry::new();
        register(&mut registry);
        for command in registry.commands() {
            let (name, schema) = (command.name().to_owned(), command.schema());
            assert!(command.about().ends_with('.'), "{name}");
            assert!(!schema.to_string().contains("\"$ref\""), "{name}: {schema}");
            let properties = schema["properties"].as_object().unwrap();
            for (argument, of) in properties {
                assert!(of["description"].is_string(), "{name}.{argument}");
            }
        }
    }
}
