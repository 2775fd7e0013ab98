//! Load balancers.

use std::collections::HashSet;

use crate::config::fields::{Fields, Found};
use crate::config::hosts::HostGroup;
use crate::diagnostic::nearest;
use crate::ids::HostName;
use crate::text::Text;

/// A HAProxy and its runtime API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balancer {
    /// Its name in the config.
    pub name: String,
    /// Where it runs; `local` is here.
    pub host: HostName,
    /// Where it listens.
    pub socket: Socket,
    /// Who is let in, where the API asks.
    pub user: Option<Text>,
    /// With what.
    pub password: Option<Text>,
}

/// Where a runtime API listens, on the balancer's host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Socket {
    /// The absolute path of a unix socket.
    Path(String),
    /// A TCP port.
    Port(u16),
}

pub(super) fn read(top: &Fields<'_>, groups: &[HostGroup], found: &mut Found) -> Vec<Balancer> {
    let mut balancers = Vec::new();
    let mut names = HashSet::new();
    if let Some(all) = top.below("lb", found) {
        for entry in all.map.iter() {
            names.insert(&*entry.key);
            if let Some(mut fields) = all.below(&entry.key, found) {
                fields.span = entry.key_span;
                balancers.extend(one(&entry.key, &fields, found));
            }
        }
    }
    for group in groups {
        let Some(lb) = &group.lb else { continue };
        if !names.contains(lb.as_str()) {
            let near =
                nearest(lb, names.iter().copied()).map(|near| format!("did you mean `{near}`?"));
            let hint = near.unwrap_or_else(|| format!("describe it under `lb.{lb}`"));
            let message = format!("there is no load balancer `{lb}`");
            found.error(
                group.span,
                &format!("hostgroup.{}.lb", group.name),
                message,
                Some(hint),
            );
        }
    }
    balancers
}

fn one(name: &str, fields: &Fields<'_>, found: &mut Found) -> Option<Balancer> {
    if let Some(at) = fields.get("type")
        && at.node.as_str() != Some("haproxy")
    {
        let message = "the only `type` of load balancer is `haproxy`".into();
        found.error(at.node.span, &at.path, message, None);
    }
    let user = fields.maybe_secret("user", found);
    let password = fields.maybe_secret("password", found);
    let host = fields.name("host", found);
    if !fields.has("host") {
        fields.missing("host", Some("the host that it runs on, or `local`"), found);
    }
    let socket = match (fields.has("socket"), fields.has("port")) {
        (true, false) => fields.text("socket", found).and_then(|path| {
            if path.starts_with('/') {
                return Some(Socket::Path(path));
            }
            fields.get("socket")?.wrong("an absolute path", found)
        }),
        (false, true) => fields
            .whole("port", 1, u16::MAX.into(), found)
            .and_then(|port| u16::try_from(port).ok().map(Socket::Port)),
        (is_both, _) => {
            let message = match is_both {
                true => format!("`{}` has both `socket` and `port`", fields.path),
                false => format!("`{}` lacks the key `socket` or `port`", fields.path),
            };
            let hint = "one of them says where HAProxy's runtime API listens (`stats socket`)";
            found.error(fields.span, &fields.path, message, Some(hint.into()));
            None
        }
    };
    Some(Balancer {
        name: name.to_owned(),
        host: HostName::new(&host?),
        socket: socket?,
        user,
        password,
    })
}
