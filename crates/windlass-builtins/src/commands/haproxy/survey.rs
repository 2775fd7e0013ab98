//! One look at many servers of one HAProxy, which changes nothing.

use windlass_model::Text;
use windlass_model::step::{Dial, Endpoint, Step, Via};

use super::stat::{self, ServerStat};
use super::{is_name, show};

/// Bytes of a question; HAProxy reads lines of up to 16 KiB unless told otherwise.
const LONGEST: usize = 8 * 1024;

/// What HAProxy says of itself and of servers.
#[derive(Clone, Debug)]
pub struct Survey {
    denied: bool,
    /// One table, its heading first.
    table: String,
}

/// Why there is nothing to say of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SurveyError {
    /// What was asked for is no `backend/server`.
    Name,
    /// HAProxy has no such server; which ones it has.
    Absent(String),
}

impl Survey {
    /// Asks for the state of servers (`backend/server` each) of the HAProxy that listens at `to`, and whether they could
    /// be set. Names that are none are left out. Of very many backends all are asked for at once.
    pub fn step<'a>(to: &Endpoint, services: impl Iterator<Item = &'a str>) -> Step {
        let mut backends: Vec<&str> = Vec::new();
        let mut send = String::new();
        for service in services.filter(|service| names(service).is_some()) {
            if send.is_empty() {
                // without a word of what to set it says how it is used, to those who may
                send = format!("set server {service}");
            }
            let backend = service.split('/').next().unwrap_or_default();
            if !backends.contains(&backend) {
                backends.push(backend);
            }
        }
        let one = send.clone();
        for backend in backends {
            send.push_str("; ");
            send.push_str(&show(backend));
        }
        if send.len() > LONGEST {
            send = format!("{one}; {}", show("-1"));
        }
        Step::Dial(Dial {
            via: Via::Task,
            to: to.clone(),
            send: Text::plain(send + "\n"),
            answer: true,
            time_limit: 10,
        })
    }

    /// Reads the answer.
    pub fn read(answer: &str) -> Self {
        let mut table = String::new();
        for line in answer.lines() {
            if line.starts_with("# pxname,") && !table.is_empty() {
                continue;
            }
            if line.starts_with("# pxname,") || (!table.is_empty() && line.contains(',')) {
                table.push_str(line);
                table.push('\n');
            }
        }
        Self {
            denied: answer
                .lines()
                .take_while(|line| !line.starts_with('#'))
                .any(|line| line.starts_with("Permission denied")),
            table,
        }
    }

    /// Whether the socket lets nobody set anything.
    pub fn is_denied(&self) -> bool {
        self.denied
    }

    /// The state of `backend/server`.
    pub fn of(&self, service: &str) -> Result<ServerStat, SurveyError> {
        let (backend, server) = names(service).ok_or(SurveyError::Name)?;
        let row = format!("{backend},");
        if !self.table.lines().any(|line| line.starts_with(&row)) {
            return Err(SurveyError::Absent(format!(
                "there is no backend `{backend}`"
            )));
        }
        stat::read(&self.table, backend, server).map_err(SurveyError::Absent)
    }
}

fn names(service: &str) -> Option<(&str, &str)> {
    service
        .split_once('/')
        .filter(|(backend, server)| is_name(backend) && is_name(server))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "usage: set server <backend>/<server> addr | agent\n\n\
        # pxname,svname,qcur,scur,status,check_status,\n\
        web,app1,0,0,DOWN,L4CON,\n\
        web,app2,0,0,no check,,\n\n\
        No such proxy.\n\n\
        # pxname,svname,qcur,scur,status,check_status,\n\
        web2,app1,0,0,UP,L4OK,\n\n";

    #[test]
    fn several_tables_are_read_as_one() {
        let survey = Survey::read(ANSWER);
        assert!(!survey.is_denied());
        let status = |service| survey.of(service).map(|stat| stat.status);
        assert_eq!(status("web/app1"), Ok("DOWN".into()));
        assert_eq!(status("web/app2"), Ok("no check".into()));
        assert_eq!(status("web2/app1"), Ok("UP".into()));
        let absent = |why: &str| Err(SurveyError::Absent(why.into()));
        assert_eq!(
            status("web2/app2"),
            absent("no such server; `web2` has app1")
        );
        assert_eq!(status("nope/app1"), absent("there is no backend `nope`"));
        assert_eq!(status("web/a;b"), Err(SurveyError::Name));
        assert!(Survey::read("Permission denied\n\n# pxname,svname,\n").is_denied());
    }

    #[test]
    fn one_line_asks_for_all() {
        let text = |services: &[&str]| match Survey::step(
            &Endpoint::Unix("/s".into()),
            services.iter().copied(),
        ) {
            Step::Dial(dial) => dial.send.as_plain().unwrap_or_default().into_owned(),
            _ => String::new(),
        };
        assert_eq!(
            text(&["a/1", "b c/2", "a/2", "b/1"]),
            "set server a/1; show stat a 4 -1; show stat b 4 -1\n"
        );
        let many: Vec<String> = (0..1000).map(|n| format!("backend{n}/server")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(
            text(&many),
            "set server backend0/server; show stat -1 4 -1\n"
        );
    }
}
