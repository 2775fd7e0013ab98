//! Programs of sh that control a service under its supervisor.
//!
//! Each ends with 0 when it changed something and the state is reached, with 80 when there was nothing to do; with
//! anything else it failed, and the last line that it printed says why.

mod daemontools;
mod runit;
mod systemd;

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::args::AbsolutePath;
use crate::sh::quote;

/// How a service is controlled.
///
/// systemd's programs were tested with a stand-in that answers as `systemctl` does, not with a systemd that runs;
/// those of runit and daemontools with the real ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ControlType {
    /// `systemctl`; the service's name is its unit.
    Systemd,
    /// runit's `sv`; the name is a service directory, or the name of one.
    Runit,
    /// daemontools' `svc`; the name is a service directory, or the name of one.
    Daemontools,
    /// Shell lines that are given.
    Command,
}

impl JsonSchema for ControlType {
    fn schema_name() -> Cow<'static, str> {
        "ControlType".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "enum": ["systemd", "runit", "daemontools", "command"]})
    }
}

/// What is done to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// So that it runs.
    Start,
    /// So that it does not run.
    Stop,
    /// So that it runs anew.
    Restart,
    /// So that it reads its configuration again.
    Reload,
    /// Only look.
    Status,
}

impl Action {
    /// The verb: `start`.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Reload => "reload",
            Self::Status => "status",
        }
    }
}

impl JsonSchema for Action {
    fn schema_name() -> Cow<'static, str> {
        "Action".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "enum": ["start", "stop", "restart", "reload", "status"]})
    }
}

/// A service under a supervisor; its name is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Supervised {
    /// A unit.
    Systemd(String),
    /// A service directory of runit.
    Runit(ServiceDir),
    /// A service directory of daemontools.
    Daemontools(ServiceDir),
}

impl Supervised {
    /// Checks a name; the error says what is wrong with it. `None` for [`ControlType::Command`].
    pub fn new(control_type: ControlType, name: &str) -> Result<Option<Self>, String> {
        Ok(Some(match control_type {
            ControlType::Systemd => Self::Systemd(unit(name)?),
            ControlType::Runit => Self::Runit(ServiceDir::new(name)?),
            ControlType::Daemontools => Self::Daemontools(ServiceDir::new(name)?),
            ControlType::Command => return Ok(None),
        }))
    }

    /// The program for an action, which waits at most `timeout` seconds for the wanted state.
    pub fn script(&self, action: Action, timeout: u32) -> String {
        let timeout = timeout.max(1);
        match self {
            Self::Systemd(unit) => systemd::script(unit, action, timeout),
            Self::Runit(dir) => runit::script(dir, action, timeout),
            Self::Daemontools(dir) => daemontools::script(dir, action, timeout),
        }
    }
}

fn unit(name: &str) -> Result<String, String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || ":_.@\\-".contains(c);
    if name.is_empty() || name.starts_with('-') || !name.chars().all(fine) {
        return Err(format!("`{name}` is no name of a systemd unit"));
    }
    Ok(name.to_owned())
}

/// A service directory, or the name of one in the places where supervisors look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceDir {
    /// Its path.
    Path(AbsolutePath),
    /// Its name.
    Named(String),
}

impl ServiceDir {
    fn new(name: &str) -> Result<Self, String> {
        if name.starts_with('/') {
            return AbsolutePath::new(name).map(Self::Path);
        }
        let fine = |c: char| c.is_ascii_alphanumeric() || "_.@+-".contains(c);
        if name.is_empty() || name.starts_with(['-', '.']) || !name.chars().all(fine) {
            return Err(format!(
                "`{name}` is neither the name of a service directory nor an absolute path"
            ));
        }
        Ok(Self::Named(name.to_owned()))
    }

    /// Sets `d` to the directory, or to nothing; makes `absent` say where it was looked for.
    fn find(&self) -> String {
        match self {
            Self::Path(path) => {
                let path = path.quoted();
                format!(
                    "d={path}\n\
                     absent() {{ echo \"there is no service directory\" {path}; }}\n\
                     [ -d \"$d\" ] || d=\n"
                )
            }
            Self::Named(name) => {
                let name = quote(name);
                format!(
                    "d=\n\
                     for at in \"${{SVDIR:-/etc/service}}\" /etc/service /service /var/service; do\n\
                     if [ -d \"$at\"/{name} ]; then d=$at/{name}; break; fi\n\
                     done\n\
                     absent() {{ echo \"there is no service directory\" {name} \
                     \"in /etc/service, /service or /var/service\"; }}\n"
                )
            }
        }
    }
}

/// Waits a moment; sets a deadline; tells whether it has passed.
fn clock(timeout: u32) -> String {
    format!(
        "moment() {{ sleep 0.2 2>/dev/null || sleep 1; }}\n\
         end=$(( $(date +%s) + {timeout} ))\n\
         late() {{ [ \"$(date +%s)\" -ge \"$end\" ]; }}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for (kind, name, fine) in [
            (ControlType::Systemd, "shop@1.service", true),
            (ControlType::Systemd, "-x", false),
            (ControlType::Systemd, "a b", false),
            (ControlType::Runit, "shop", true),
            (ControlType::Runit, "/etc/sv/shop", true),
            (ControlType::Runit, "../shop", false),
            (ControlType::Daemontools, "a/b", false),
            (ControlType::Daemontools, "/a/../b", false),
        ] {
            assert_eq!(Supervised::new(kind, name).is_ok(), fine, "{name}");
        }
    }

    #[test]
    fn every_program_is_sh() {
        for kind in [
            ControlType::Systemd,
            ControlType::Runit,
            ControlType::Daemontools,
        ] {
            for name in ["shop", "/srv/it's"] {
                let Ok(Some(service)) = Supervised::new(kind, name) else {
                    continue;
                };
                for action in [
                    Action::Start,
                    Action::Stop,
                    Action::Restart,
                    Action::Reload,
                    Action::Status,
                ] {
                    let script = service.script(action, 5);
                    let out = std::process::Command::new("sh")
                        .args(["-n", "-c", &script])
                        .output()
                        .unwrap();
                    assert!(out.status.success(), "{script}\n{out:?}");
                }
            }
        }
    }
}
