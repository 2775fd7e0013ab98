//! HAProxy's runtime API: one server of one backend, over HAProxy's socket.
//!
//! Commands are lines; several may stand in one, joined by `;`. HAProxy answers and closes. `set server` answers with
//! an empty line or with what is wrong; `show stat` with CSV whose first line names the columns.

mod stat;
mod survey;

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use windlass_engine::command::{InitContext, Owes};
use windlass_model::Text;
use windlass_model::diagnostic::Diagnostics;
use windlass_model::ids::HostName;
use windlass_model::step::{Dial, Endpoint, Level, Reply, Step, Via};

pub use stat::ServerStat;
pub use survey::{Survey, SurveyError};

/// Arguments about a load balancer. Exactly one of `lb_port` and `lb_socket`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadBalancerArgs {
    /// The host that the load balancer runs on; `local` for this one.
    pub lb_hostname: String,
    /// The server there: `backend/server`.
    pub lb_service: String,
    /// `haproxy`, the only type there is.
    #[serde(default)]
    pub lb_type: LbType,
    /// The port of HAProxy's stats socket, on 127.0.0.1 of `lb_hostname`.
    pub lb_port: Option<u16>,
    /// The path of HAProxy's stats socket on `lb_hostname`. It needs `level admin`.
    pub lb_socket: Option<String>,
    /// Not used by HAProxy: whoever reaches its socket may use it.
    pub lb_username: Option<Text>,
    /// Not used by HAProxy.
    pub lb_password: Option<Text>,
    /// Seconds to wait for the wanted state.
    #[serde(default = "sixty")]
    pub timeout: u32,
}

fn sixty() -> u32 {
    60
}

/// A type of load balancer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LbType {
    /// HAProxy 1.8 or later.
    #[default]
    Haproxy,
}

impl JsonSchema for LbType {
    fn schema_name() -> Cow<'static, str> {
        "LbType".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "enum": ["haproxy"]})
    }
}

/// A server behind a load balancer; its name is checked.
#[derive(Clone, Debug)]
pub struct LoadBalancer {
    host: HostName,
    to: Endpoint,
    backend: String,
    server: String,
    unused: bool,
    /// Seconds to wait for the wanted state.
    pub timeout: u32,
}

impl LoadBalancer {
    /// Checks the arguments.
    pub fn new(args: LoadBalancerArgs, cx: &InitContext<'_>) -> Result<Self, Diagnostics> {
        let mut wrong = Diagnostics::new();
        if args.lb_hostname.trim().is_empty() {
            wrong.push(cx.wrong("lb_hostname", "`lb_hostname` is empty"));
        }
        let (backend, server) = args.lb_service.split_once('/').unwrap_or_default();
        if !is_name(backend) || !is_name(server) {
            let message = format!("`{}` is no server of HAProxy", args.lb_service);
            let hint = "write backend/server, as they are called in HAProxy's configuration";
            wrong.push(cx.wrong("lb_service", message).hint(hint));
        }
        let to = match (args.lb_port, args.lb_socket) {
            (Some(0), None) => {
                wrong.push(cx.wrong("lb_port", "`lb_port` is 1 to 65535"));
                None
            }
            (Some(port), None) => Some(Endpoint::Tcp("127.0.0.1".to_owned(), port)),
            (None, Some(path)) if path.starts_with('/') && !path.contains(char::is_control) => {
                Some(Endpoint::Unix(path))
            }
            (None, Some(path)) => {
                wrong.push(cx.wrong("lb_socket", format!("`{path}` is not an absolute path")));
                None
            }
            (None, None) => {
                wrong.push(cx.wrong("lb_socket", "one of `lb_socket` and `lb_port` is needed"));
                None
            }
            (Some(_), Some(_)) => {
                for key in ["lb_port", "lb_socket"] {
                    let message = "`lb_port` and `lb_socket` are both given";
                    wrong.push(cx.wrong(key, message).hint("leave one of the two out"));
                }
                None
            }
        };
        match to {
            Some(to) => wrong.or(Self {
                host: HostName::new(&args.lb_hostname),
                to,
                backend: backend.to_owned(),
                server: server.to_owned(),
                unused: args.lb_username.is_some() || args.lb_password.is_some(),
                timeout: args.timeout,
            }),
            None => Err(wrong),
        }
    }

    /// `backend/server`.
    pub fn service(&self) -> String {
        format!("{}/{}", self.backend, self.server)
    }

    /// What is owed while the server is drained.
    fn debt(&self) -> Vec<String> {
        vec![format!("drained {}", self.service())]
    }

    /// That of a drain.
    pub fn opens(&self) -> Owes {
        Owes {
            opens: self.debt(),
            closes: Vec::new(),
        }
    }

    /// That of an end of a drain.
    pub fn closes(&self) -> Owes {
        Owes {
            opens: Vec::new(),
            closes: self.debt(),
        }
    }

    /// The host whose link is needed.
    pub fn other_hosts(&self) -> Vec<HostName> {
        Some(self.host.clone())
            .filter(|host| !host.is_local())
            .into_iter()
            .collect()
    }

    /// Log lines of the initialize.
    pub fn said(&self) -> Vec<(Level, String)> {
        let text = "lb_username and lb_password are not used: HAProxy's socket asks for neither";
        self.unused
            .then(|| (Level::Debug, text.to_owned()))
            .into_iter()
            .collect()
    }

    /// Asks for the state.
    pub fn look(&self) -> Step {
        self.dial(show(&self.backend))
    }

    /// Sets the administrative state (`drain`, `ready`) and asks for the state.
    pub fn set(&self, state: &str) -> Step {
        let set = format!("set server {} state {state}", self.service());
        self.dial(format!("{set}; {}", show(&self.backend)))
    }

    fn dial(&self, commands: String) -> Step {
        Step::Dial(Dial {
            via: Via::Host(self.host.clone()),
            to: self.to.clone(),
            send: Text::plain(commands + "\n"),
            answer: true,
            time_limit: 10,
        })
    }

    /// The state in an answer, or why there is none.
    pub fn read(&self, reply: &Reply) -> Result<ServerStat, String> {
        let at = format!("HAProxy at {} on {}", self.to, self.host);
        let answer = match reply {
            Reply::Dialed { answer } => answer,
            Reply::Impossible(why) => return Err(format!("cannot talk to {at}: {why}")),
            _ => return Err(format!("cannot talk to {at}")),
        };
        let service = self.service();
        stat::read(answer, &self.backend, &self.server)
            .map_err(|wrong| format!("{at} says of {service}: {wrong}"))
    }
}

/// Whether HAProxy may call a backend or a server so.
fn is_name(part: &str) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
    !part.is_empty() && part.chars().all(fine)
}

/// Asks for the servers of a backend; -1 stands for all.
fn show(backend: &str) -> String {
    const SERVERS: u8 = 4;
    format!("show stat {backend} {SERVERS} -1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::commands::disable_loadbalancer::DisableLoadbalancer;
    use crate::commands::trial::{errors, make};

    #[test]
    fn arguments_are_checked() {
        let with = |service: &str, more: serde_json::Value| {
            let mut args = json!({"lb_hostname": "lb1", "lb_service": service});
            args.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            errors(&DisableLoadbalancer, args)
        };
        assert_eq!(with("web/app-1", json!({"lb_port": 9999})), "");
        for service in [
            "web",
            "web/",
            "/a",
            "a/b/c",
            "a b/c",
            "a/b;shutdown",
            "a/b\n",
        ] {
            let said = with(service, json!({"lb_port": 9999}));
            assert!(said.contains("no server of HAProxy"), "{service:?}");
        }
        assert!(with("a/b", json!({})).contains("one of"));
        assert!(with("a/b", json!({"lb_socket": "x"})).contains("absolute"));
        let both = with("a/b", json!({"lb_socket": "/x", "lb_port": 1}));
        assert!(both.contains("].lb_port") && both.contains("].lb_socket"));
    }

    #[test]
    fn its_host_is_another_host_unless_it_is_here() {
        let hosts = |host: &str| {
            let args = json!({"lb_hostname": host, "lb_service": "a/b", "lb_socket": "/s"});
            make(&DisableLoadbalancer, args)
                .unwrap()
                .other_hosts()
                .len()
        };
        assert_eq!((hosts("lb1"), hosts("local")), (1, 0));
    }
}
