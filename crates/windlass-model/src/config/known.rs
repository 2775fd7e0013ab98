//! The keys that Windlass knows, and warnings for what looks like a slip of the pen.

use super::fields::{Found, join};
use crate::diagnostic::nearest;
use crate::tree::{Map, Node, Value};

/// Keys at the top, the command line's options among them.
pub(super) const TOP: &[&str] = &[
    "platform",
    "environment",
    "user",
    "hostgroup",
    "lb",
    "service",
    "service_defaults",
    "deployment_order",
    "deploy_concurrency",
    "deploy_concurrency_per_host",
    "non_deploy_concurrency",
    "non_deploy_concurrency_per_host",
    "max_failures",
    "keep_versions",
    "ignore_packages",
    "graphite",
    "min_healthy",
    "on_failure",
    "sudo_password",
    "ssh_key_passphrase",
    "plugin_time_limit",
    "component",
    "directory",
    "hosts",
    "hostgroups",
    "redeploy",
    "tasklist",
];

pub(super) const SERVICE: &[&str] = &[
    "hosts",
    "destination",
    "install_location",
    "unpack_dir",
    "control",
    "control_type",
    "start_command",
    "stop_command",
    "restart_command",
    "check",
    "check_command",
    "control_timeout",
    "lb_service",
    "lb_timeout",
    "migration_command",
    "migration_path",
    "properties",
    "properties_path",
    "enabled_on_hosts",
    "shared",
    "port",
    "min_healthy",
];

pub(super) const HOSTGROUP: &[&str] = &["hosts", "lb", "sudo_password", "ssh_key_passphrase"];

pub(super) const LB: &[&str] = &["type", "host", "socket", "port", "user", "password"];

pub(super) const CONTROL: &[&str] = &[
    "systemd",
    "runit",
    "daemontools",
    "start",
    "stop",
    "restart",
    "sudo",
];

pub(super) const GRAPHITE: &[&str] = &["carbon_host", "carbon_port", "metric_prefix"];

/// Keys whose values are never shown.
const SECRETS: [&str; 3] = ["sudo_password", "ssh_key_passphrase", "password"];

/// Warns of every key that is nearly a known one, wherever known ones stand.
pub(super) fn warn(top: &Map, found: &mut Found) {
    slips(top, "", TOP, found);
    if let Some(entry) = top.entry("hostgroups")
        && let Value::Map(_) = entry.value.value
        && top.get("hostgroup").is_none()
    {
        let message =
            "`hostgroups` chooses among the groups of `hostgroup`, and here is a map".into();
        found.warning(
            entry.key_span,
            "hostgroups",
            message,
            Some("did you mean `hostgroup`?".into()),
        );
    }
    if let Some(defaults) = top.get("service_defaults") {
        service(defaults, "service_defaults", found);
    }
    for (key, known) in [("hostgroup", HOSTGROUP), ("lb", LB)] {
        for entry in maps(top, key) {
            if let Value::Map(map) = &entry.value.value {
                slips(map, &join(key, &entry.key), known, found);
            }
        }
    }
    for entry in maps(top, "service") {
        service(&entry.value, &join("service", &entry.key), found);
    }
    if let Some(Value::Map(graphite)) = top.get("graphite").map(|node| &node.value) {
        slips(graphite, "graphite", GRAPHITE, found);
    }
}

fn maps<'a>(top: &'a Map, key: &str) -> impl Iterator<Item = &'a crate::tree::Entry> {
    top.get(key)
        .and_then(Node::as_map)
        .into_iter()
        .flat_map(Map::iter)
}

fn service(node: &Node, path: &str, found: &mut Found) {
    let Value::Map(map) = &node.value else {
        return;
    };
    slips(map, path, SERVICE, found);
    if let Some(Value::Map(control)) = map.get("control").map(|node| &node.value) {
        slips(control, &join(path, "control"), CONTROL, found);
    }
}

fn slips(map: &Map, path: &str, known: &[&str], found: &mut Found) {
    for entry in map.iter() {
        if known.contains(&&*entry.key) {
            continue;
        }
        // Where the known key stands too, the other one is meant as it is.
        let Some(near) =
            nearest(&entry.key, known.iter().copied()).filter(|near| map.get(near).is_none())
        else {
            continue;
        };
        let path = join(path, &entry.key);
        let message = format!(
            "`{}` is not a key of Windlass's; it is kept as your own",
            entry.key
        );
        let hint = format!("did you mean `{near}`?");
        if SECRETS.contains(&near) {
            found.masked_warning(entry.key_span, entry.value.span, &path, message, hint);
        } else {
            found.warning(entry.key_span, &path, message, Some(hint));
        }
    }
}
