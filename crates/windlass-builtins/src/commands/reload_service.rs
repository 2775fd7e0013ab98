//! `reload_service`: a service reads its configuration again.

use schemars::JsonSchema;
use serde::Deserialize;
use windlass_engine::command::{Command, CommandKind, InitContext};
use windlass_model::diagnostic::Diagnostics;

use super::control::{Action, ControlType};
use super::service_action::Request;

/// The kind.
pub struct ReloadService;

/// Arguments of `reload_service`: `servicename` and `control_type`, or `reload_command`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// The unit (systemd), or the service directory or its name in /etc/service, /service or /var/service (runit,
    /// daemontools).
    pub servicename: Option<String>,
    /// `systemd`, `runit`, `daemontools` or `command`.
    pub control_type: Option<ControlType>,
    /// The shell line that reloads it; without a `check_command` its exit status is believed.
    pub reload_command: Option<String>,
    /// A shell line that ends with 0 while the service runs. Waited for at the end.
    pub check_command: Option<String>,
    /// Seconds to wait for the wanted state.
    #[serde(default = "timeout")]
    pub timeout: u32,
}

fn timeout() -> u32 {
    60
}

impl CommandKind for ReloadService {
    type Args = Args;

    fn name(&self) -> &'static str {
        "reload_service"
    }

    fn about(&self) -> &'static str {
        "Makes a service that runs read its configuration again."
    }

    fn initialize(
        &self,
        args: Args,
        cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        let request = Request {
            servicename: args.servicename,
            control_type: args.control_type,
            line: args.reload_command,
            line_key: "reload_command",
            env: Vec::new(),
            check_command: args.check_command,
            if_exists: None,
            timeout: args.timeout,
        };
        Ok(Box::new(request.command(Action::Reload, cx)?))
    }
}
