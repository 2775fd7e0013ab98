//! HAProxy before services: whether its socket is there and lets us act, and knows the servers.

use std::collections::BTreeMap;

use windlass_model::ids::HostName;
use windlass_model::step::{Endpoint, Reply, Step};

use super::{Check, Finding, Grade};
use crate::commands::haproxy::{Survey, SurveyError};

/// What one HAProxy is asked.
#[derive(Clone, Debug)]
pub(super) struct BalancerNeeds {
    /// Its socket.
    pub(super) to: Endpoint,
    /// `backend/server`, and the host that it stands for.
    pub(super) servers: BTreeMap<String, HostName>,
}

impl BalancerNeeds {
    /// One question about all servers.
    pub(super) fn step(&self) -> Step {
        Survey::step(&self.to, self.servers.keys().map(String::as_str))
    }

    /// `host` is the balancer's.
    pub(super) fn findings(&self, host: &HostName, reply: &Reply) -> Vec<Finding> {
        let error = |message: String| Finding::new(host, Grade::Error, Check::Balancer, message);
        let to = &self.to;
        let survey = match reply {
            Reply::Dialed { answer } => Survey::read(answer),
            Reply::Impossible(why) => {
                let prefix = format!("{host}: ");
                let why = why.strip_prefix(&prefix).unwrap_or(why);
                let fault = error(format!("cannot talk to HAProxy at {to}: {why}"));
                return vec![fault.hint(
                    "does HAProxy run there, with a `stats socket` that the user may write to?",
                )];
            }
            _ => return vec![error(format!("cannot talk to HAProxy at {to}"))],
        };
        let mut found = Vec::new();
        if survey.is_denied() {
            let message = format!("HAProxy at {to} lets us look and not act");
            found.push(error(message).hint("its `stats socket` needs `level admin`"));
        }
        for (service, of) in &self.servers {
            let about = |grade, message| Finding::new(of, grade, Check::Balancer, message);
            match survey.of(service) {
                Err(SurveyError::Name) => {
                    let message = format!("`{service}` is no server of HAProxy");
                    found.push(about(Grade::Error, message).hint(
                        "write `lb_service` as backend/server, as they are called in HAProxy's configuration",
                    ));
                }
                Err(SurveyError::Absent(why)) => {
                    let message = format!("HAProxy at {to} on {host} has no {service}: {why}");
                    found.push(
                        about(Grade::Error, message)
                            .hint("compare `lb_service` with HAProxy's configuration"),
                    );
                }
                Ok(stat) if stat.status == "no check" => {
                    let message = format!(
                        "HAProxy on {host} does not check {service}: it gets requests whether it answers or not, \
                         and is never seen to be up"
                    );
                    found.push(
                        about(Grade::Warning, message)
                            .hint("write `check` after the server in HAProxy's configuration"),
                    );
                }
                Ok(stat) if !stat.is_ready() => {
                    let message = format!("{service} is {stat} at HAProxy on {host}");
                    found.push(about(Grade::Warning, message));
                }
                Ok(_) => {}
            }
        }
        found
    }
}
