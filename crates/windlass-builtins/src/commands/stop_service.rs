//! `stop_service`: so that a service does not run.

use schemars::JsonSchema;
use serde::Deserialize;
use windlass_engine::command::{Command, CommandKind, InitContext};
use windlass_model::diagnostic::Diagnostics;

use super::args::AbsolutePath;
use super::control::{Action, ControlType};
use super::service_action::Request;

/// The kind.
pub struct StopService;

/// Arguments of `stop_service`: `servicename` and `control_type`, or `stop_command`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// The unit (systemd), or the service directory or its name in /etc/service, /service or /var/service (runit,
    /// daemontools).
    pub servicename: Option<String>,
    /// `systemd`, `runit`, `daemontools` or `command`.
    pub control_type: Option<ControlType>,
    /// The shell line that stops it; without a `check_command` its exit status is believed.
    pub stop_command: Option<String>,
    /// A shell line that ends with 0 while the service runs. Asked first when a `stop_command` is given (nothing is done when it fails); at the end it is waited for to fail.
    pub check_command: Option<String>,
    /// A path that is there once the service was deployed: without it a `stop_command` is not run, as there is nothing
    /// to stop.
    pub if_exists: Option<AbsolutePath>,
    /// Seconds to wait for the wanted state.
    #[serde(default = "timeout")]
    pub timeout: u32,
}

fn timeout() -> u32 {
    60
}

impl CommandKind for StopService {
    type Args = Args;

    fn name(&self) -> &'static str {
        "stop_service"
    }

    fn about(&self) -> &'static str {
        "Stops a service and waits until it is down; one that is down, or was never deployed, is left alone."
    }

    fn initialize(
        &self,
        args: Args,
        cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        let request = Request {
            servicename: args.servicename,
            control_type: args.control_type,
            line: args.stop_command,
            line_key: "stop_command",
            env: Vec::new(),
            check_command: args.check_command,
            if_exists: args.if_exists,
            timeout: args.timeout,
        };
        Ok(Box::new(request.command(Action::Stop, cx)?))
    }
}
