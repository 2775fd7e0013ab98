//! The built-in commands, one a file. `commands.md` of the documentation lists them; it is generated from here.

pub mod args;
pub mod check_service;
pub mod control;
pub mod control_service;
pub mod dbmigration;
pub mod disable_loadbalancer;
pub mod enable_loadbalancer;
pub mod execute_command;
pub mod haproxy;
pub mod http_notify;
pub mod notice;
pub mod reload_service;
pub mod restart_service;
pub mod scripted;
pub mod send_graphite;
pub mod sequence;
pub mod service_action;
pub mod shell_line;
pub mod start_service;
pub mod stop_service;
pub mod test_command;
#[cfg(test)]
pub(crate) mod trial;

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
    registry.command(check_service::CheckService);
    registry.command(control_service::ControlService);
    registry.command(dbmigration::DbMigration);
    registry.command(disable_loadbalancer::DisableLoadbalancer);
    registry.command(enable_loadbalancer::EnableLoadbalancer);
    registry.command(execute_command::ExecuteCommand);
    registry.command(http_notify::HttpNotify("http_notify"));
    registry.command(http_notify::HttpNotify("pipeline_notify"));
    registry.command(reload_service::ReloadService);
    registry.command(restart_service::RestartService);
    registry.command(send_graphite::SendGraphite);
    registry.command(start_service::StartService);
    registry.command(stop_service::StopService);
    registry.command(test_command::TestCommand);
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
