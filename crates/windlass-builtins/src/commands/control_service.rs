//! `control_service`: any action on a service.

use schemars::JsonSchema;
use serde::Deserialize;
use windlass_engine::command::{Command, CommandKind, InitContext};
use windlass_model::Text;
use windlass_model::diagnostic::Diagnostics;

use super::control::{Action, ControlType};
use super::service_action::Request;

/// The kind.
pub struct ControlService;

/// Arguments of `control_service`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Args {
    /// The unit (systemd), or the service directory or its name in /etc/service, /service or /var/service (runit,
    /// daemontools); any name with `command`.
    pub servicename: String,
    /// `start`, `stop`, `restart`, `reload` or `status`. `status` prints the state; a service that is down is no failure.
    pub action: Action,
    /// `systemd`, `runit`, `daemontools` or `command`.
    pub control_type: ControlType,
    /// With `command`: a shell line that does what `$ACTION` says to `$SERVICENAME`, as in
    /// `/etc/init.d/$SERVICENAME $ACTION`. It is to end with 0.
    pub control_command: Option<String>,
    /// Seconds to wait for the wanted state.
    #[serde(default = "timeout")]
    pub timeout: u32,
}

fn timeout() -> u32 {
    60
}

impl CommandKind for ControlService {
    type Args = Args;

    fn name(&self) -> &'static str {
        "control_service"
    }

    fn about(&self) -> &'static str {
        "Starts, stops, restarts or reloads a service, or prints its state."
    }

    fn initialize(
        &self,
        args: Args,
        cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        let env = match args.control_type {
            ControlType::Command => vec![
                ("ACTION".to_owned(), Text::plain(args.action.verb())),
                (
                    "SERVICENAME".to_owned(),
                    Text::plain(args.servicename.clone()),
                ),
            ],
            _ => Vec::new(),
        };
        let request = Request {
            servicename: Some(args.servicename),
            control_type: Some(args.control_type),
            line: args.control_command,
            line_key: "control_command",
            env,
            check_command: None,
            if_exists: None,
            timeout: args.timeout,
        };
        Ok(Box::new(request.command(args.action, cx)?))
    }
}
