//! The hosts that a command line names.

use std::collections::HashSet;

use windlass_model::HostName;
use windlass_model::config::Config;
use windlass_model::diagnostic::nearest;

use crate::ending::Ending;

/// `hosts`, known to the config or not, and those of its `hostgroups`: each once.
pub(crate) fn hosts(
    config: Option<&Config>,
    hosts: &[String],
    hostgroups: &[String],
) -> Result<Vec<HostName>, Ending> {
    let mut chosen: Vec<HostName> = hosts.iter().map(|h| HostName::new(h)).collect();
    for group in hostgroups {
        let Some(config) = config else {
            return Err(Ending::input(
                format!("there is no config to look up hostgroup `{group}` in"),
                "name one with --config FILE",
            ));
        };
        chosen.extend(group_of(config, group)?);
    }
    let mut seen = HashSet::new();
    chosen.retain(|host| seen.insert(host.clone()));
    Ok(chosen)
}

fn group_of(config: &Config, name: &str) -> Result<Vec<HostName>, Ending> {
    let groups = config.hostgroups()?;
    if let Some(group) = groups.iter().find(|g| g.name == name) {
        return Ok(group.hosts.clone());
    }
    let known: Vec<&str> = groups.iter().map(|g| g.name.as_str()).collect();
    let hint = match nearest(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the config has: {}", known.join(", ")),
    };
    Err(Ending::input(format!("unknown hostgroup `{name}`"), hint))
}
