//! A service of platform `rolling`.

use std::collections::HashSet;

use crate::config::fields::{At, Fields, Found};
use crate::config::hosts::{HostGroup, Resolver, Service};
use crate::config::{Share, Vars, expand};
use crate::diagnostic::{Span, nearest};
use crate::ids::HostName;
use crate::tree::Value;

/// A service. Its strings may hold names in braces, which [`expand`] replaces; they are known to be names that
/// stand for something.
#[derive(Clone, Debug)]
pub struct RollingService {
    /// Its name.
    pub name: String,
    /// Where the name stands.
    pub span: Span,
    /// Where it runs; never empty; each host once, in the order of writing.
    pub hosts: Vec<ServiceHost>,
    /// Where packages are uploaded: an absolute path.
    pub destination: String,
    /// Holds the releases and the link: an absolute path.
    pub install_location: String,
    /// Where packages are unpacked: a path below `install_location`.
    pub unpack_dir: String,
    /// How it is started and stopped, if at all.
    pub control: Option<Control>,
    /// How its health is seen, if at all.
    pub check: Option<Check>,
    /// Seconds until it must have started, stopped, or be healthy.
    pub control_timeout: u32,
    /// `backend/server` at the load balancer of the host.
    pub lb_service: Option<String>,
    /// Seconds for draining and for coming back.
    pub lb_timeout: u32,
    /// A shell line, run once for a version.
    pub migration_command: Option<String>,
    /// Only if this exists, in the unpacked tree.
    pub migration_path: Option<String>,
    /// Whether the package holds files for each environment and no service.
    pub properties: bool,
    /// Where those are copied: an absolute path; there whenever `properties` is true.
    pub properties_path: Option<String>,
    /// Where it is controlled; everywhere if absent.
    pub enabled_on_hosts: Option<HashSet<HostName>>,
    /// Paths linked from `<install_location>/shared/` into each release.
    pub shared: Vec<String>,
    /// The user's own, for `{port}`.
    pub port: Option<String>,
    /// Hosts of it that must stay healthy.
    pub min_healthy: Option<Share>,
}

/// A host of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceHost {
    /// Its name.
    pub name: HostName,
    /// The number of the group by which it was named, in `RollingConfig::hostgroups`.
    pub group: Option<usize>,
}

/// How a service is started and stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// By what.
    pub kind: ControlKind,
    /// Whether through sudo.
    pub sudo: bool,
}

/// What starts and stops a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlKind {
    /// The name of a unit.
    Systemd(String),
    /// A service directory, or its name.
    Runit(String),
    /// A service directory, or its name.
    Daemontools(String),
    /// Shell lines.
    Commands {
        /// Starts it.
        start: String,
        /// Stops it.
        stop: String,
        /// Does both; stop and start if absent.
        restart: Option<String>,
    },
}

/// How the health of a service is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// Must answer 200, asked from the host.
    Url(String),
    /// A shell line that must exit with 0.
    Command(String),
}

/// What the services have in common.
pub(super) struct Context<'a> {
    pub(super) environment: Option<&'a str>,
    pub(super) hostgroups: &'a [HostGroup],
    /// Whether all groups could be read; if not, one without hosts tells nothing.
    pub(super) groups_are_whole: bool,
}

pub(super) fn read(
    written: &Service<'_>,
    context: &Context<'_>,
    resolver: &mut Resolver<'_>,
    found: &mut Found,
) -> RollingService {
    let fields = Fields::service(written);
    let port = port(&fields, found);
    let reader = Reader {
        service: written.name,
        vars: Vars {
            service: written.name,
            version: "1",
            hostname: "host",
            host: "host",
            port: port.as_deref(),
            environment: context.environment,
        },
        fields,
    };
    let fields = &reader.fields;
    let hosts = hosts(fields, context, resolver, found);
    let lb_service = reader.backend(found);
    if lb_service.is_some() {
        balanced(fields, &hosts, context.hostgroups, found);
    }
    let properties = fields.truth("properties", found).unwrap_or(false);
    if properties && !fields.has("properties_path") {
        fields.missing(
            "properties_path",
            Some("where the files of `properties: true` are copied to"),
            found,
        );
    }
    let enabled_on_hosts = enabled(fields, &hosts, resolver, found);
    RollingService {
        name: written.name.to_owned(),
        span: written.span,
        hosts,
        destination: reader
            .absolute("destination", found)
            .unwrap_or_else(|| "/opt/tarballs".into()),
        install_location: reader
            .absolute("install_location", found)
            .unwrap_or_else(|| "/opt/webapps".into()),
        unpack_dir: reader
            .relative("unpack_dir", found)
            .unwrap_or_else(|| ".unpack".into()),
        control: reader.control(found),
        check: reader.check(found),
        control_timeout: fields
            .whole("control_timeout", 1, u32::MAX, found)
            .unwrap_or(60),
        lb_service,
        lb_timeout: fields.whole("lb_timeout", 1, u32::MAX, found).unwrap_or(60),
        migration_command: reader.template("migration_command", found),
        migration_path: reader.template("migration_path", found),
        properties,
        properties_path: reader.absolute("properties_path", found),
        enabled_on_hosts,
        shared: reader.shared(found),
        min_healthy: fields.share("min_healthy", 0, found),
        port,
    }
}

fn port(fields: &Fields<'_>, found: &mut Found) -> Option<String> {
    let at = fields.get("port")?;
    match &at.node.value {
        Value::Int(int) if (1..=65535).contains(int) => Some(int.to_string()),
        Value::String(text) => Some(text.to_string()),
        _ => at.wrong("a port from 1 to 65535", found),
    }
}

fn hosts(
    fields: &Fields<'_>,
    context: &Context<'_>,
    resolver: &mut Resolver<'_>,
    found: &mut Found,
) -> Vec<ServiceHost> {
    if !fields.has("hosts") {
        fields.missing(
            "hosts",
            Some("hostgroups or hosts, as in `hosts: [app]`"),
            found,
        );
        return Vec::new();
    }
    let faults = found.diagnostics.0.len();
    let named = resolver.hosts(fields, "hosts", found);
    if named.is_empty()
        && found.diagnostics.0.len() == faults
        && let Some(at) = fields.get("hosts")
        && (context.groups_are_whole || at.node.as_list().is_some_and(<[_]>::is_empty))
    {
        let message = format!("the service has no hosts: `{}` names none", at.path);
        found.error(at.node.span, &at.path, message, None);
    }
    named
        .into_iter()
        .map(|(name, group)| ServiceHost { name, group })
        .collect()
}

/// Every host of a service with `lb_service` needs a load balancer.
fn balanced(fields: &Fields<'_>, hosts: &[ServiceHost], groups: &[HostGroup], found: &mut Found) {
    let Some(at) = fields.get("lb_service") else {
        return;
    };
    let mut told = HashSet::new();
    for host in hosts {
        let group = host.group.and_then(|index| groups.get(index));
        if group.is_some_and(|group| group.lb.is_some()) || !told.insert(host.group) {
            continue;
        }
        let (message, hint) = match group {
            Some(group) => (
                format!(
                    "the hostgroup `{}` has no load balancer for `lb_service`",
                    group.name
                ),
                format!(
                    "write `hostgroup.{}` as `{{hosts: [...], lb: NAME}}`",
                    group.name
                ),
            ),
            None => (
                format!(
                    "the host `{}` has no load balancer for `lb_service`",
                    host.name
                ),
                "put it into a hostgroup with `lb: NAME`".to_owned(),
            ),
        };
        found.error(at.node.span, &at.path, message, Some(hint));
    }
}

fn enabled(
    fields: &Fields<'_>,
    hosts: &[ServiceHost],
    resolver: &mut Resolver<'_>,
    found: &mut Found,
) -> Option<HashSet<HostName>> {
    let at = fields.get("enabled_on_hosts")?;
    let own: HashSet<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
    let mut enabled = HashSet::new();
    for (host, group) in resolver.hosts(fields, "enabled_on_hosts", found) {
        // A group may be wider than the service.
        if own.contains(host.as_str()) {
            enabled.insert(host);
        } else if group.is_none() {
            let near = nearest(host.as_str(), own.iter().copied());
            let hint = near.map(|near| format!("did you mean `{near}`?"));
            let message = format!("`{host}` is not among the hosts of the service");
            found.error(at.node.span, &at.path, message, hint);
        }
    }
    Some(enabled)
}

struct Reader<'a> {
    service: &'a str,
    vars: Vars<'a>,
    fields: Fields<'a>,
}

impl Reader<'_> {
    fn checked(&self, at: &At<'_>, found: &mut Found) -> Option<String> {
        let text = at.text(found)?;
        if text.contains('\0') {
            return at.wrong("a string without NUL", found);
        }
        if let Err(unknown) = expand(&text, &self.vars) {
            let message = match crate::config::PLACEHOLDERS.contains(&unknown.name.as_str()) {
                true => format!("{unknown}, in the service `{}`", self.service),
                false => unknown.to_string(),
            };
            found.error(at.node.span, &at.path, message, Some(unknown.hint));
            return None;
        }
        Some(text)
    }

    fn template(&self, key: &str, found: &mut Found) -> Option<String> {
        self.checked(&self.fields.get(key)?, found)
    }

    fn absolute(&self, key: &str, found: &mut Found) -> Option<String> {
        let at = self.fields.get(key)?;
        let path = self.checked(&at, found)?;
        if !path.starts_with('/') || has_dots(&path) {
            let message = format!("`{key}` must be an absolute path without `..`");
            found.error(at.node.span, &at.path, message, None);
        }
        match path.trim_end_matches('/') {
            "" => Some("/".into()),
            path => Some(path.to_owned()),
        }
    }

    fn relative(&self, key: &str, found: &mut Found) -> Option<String> {
        let at = self.fields.get(key)?;
        below(&at, self.checked(&at, found)?, "install_location", found)
    }

    fn shared(&self, found: &mut Found) -> Vec<String> {
        let items = self.fields.list("shared", found).unwrap_or_default();
        let paths = items
            .iter()
            .filter_map(|at| below(at, self.checked(at, found)?, "the release", found));
        paths.collect()
    }

    fn backend(&self, found: &mut Found) -> Option<String> {
        let at = self.fields.get("lb_service")?;
        let text = self.checked(&at, found)?;
        let is_pair = text.split_once('/').is_some_and(|(backend, server)| {
            !backend.is_empty() && !server.is_empty() && !server.contains('/')
        });
        if !is_pair || text.contains(|c: char| c.is_whitespace() || c.is_control() || c == ';') {
            let message = "`lb_service` must be `backend/server`, as HAProxy calls them".into();
            let hint = "as in `shop/{host}`";
            found.error(at.node.span, &at.path, message, Some(hint.into()));
        }
        Some(text)
    }

    fn check(&self, found: &mut Found) -> Option<Check> {
        for level in [self.fields.own(), self.fields.defaults()] {
            match (level.map.entry("check"), level.map.entry("check_command")) {
                (None, None) => continue,
                (Some(_), Some(second)) => {
                    let path = format!("{}.check_command", level.path);
                    let message = "`check` and `check_command` say the same".into();
                    found.error(
                        second.key_span,
                        &path,
                        message,
                        Some("keep one of them".into()),
                    );
                    return None;
                }
                (Some(_), None) => {
                    let text = self.checked(&level.get("check")?, found)?;
                    let rest = ["http://", "https://"]
                        .iter()
                        .find_map(|scheme| text.strip_prefix(scheme));
                    return Some(match rest {
                        Some(_) => Check::Url(text),
                        None => Check::Command(text),
                    });
                }
                (None, Some(_)) => {
                    let text = self.checked(&level.get("check_command")?, found)?;
                    return Some(Check::Command(text));
                }
            }
        }
        None
    }

    /// `control`, or the same in other words; those of the service hide those of the defaults.
    fn control(&self, found: &mut Found) -> Option<Control> {
        const WORDS: [&str; 4] = [
            "control_type",
            "start_command",
            "stop_command",
            "restart_command",
        ];
        for level in [self.fields.own(), self.fields.defaults()] {
            let word = WORDS.into_iter().find(|word| level.has(word));
            match (level.map.entry("control"), word) {
                (None, None) => continue,
                (Some(entry), Some(word)) if entry.value.value != Value::Null => {
                    let path = format!("{}.control", level.path);
                    let message = format!("`control` and `{word}` say the same");
                    found.error(
                        entry.key_span,
                        &path,
                        message,
                        Some("keep one of them".into()),
                    );
                    return None;
                }
                (_, Some(_)) => return self.control_in_words(found),
                (Some(_), None) => {
                    let fields = level.below("control", found)?;
                    return self.control_map(&fields, found);
                }
            }
        }
        None
    }

    fn control_map(&self, fields: &Fields<'_>, found: &mut Found) -> Option<Control> {
        let sudo = fields.truth("sudo", found).unwrap_or(false);
        let kinds = [
            "systemd",
            "runit",
            "daemontools",
            "start",
            "stop",
            "restart",
        ];
        let given: Vec<&str> = kinds.into_iter().filter(|kind| fields.has(kind)).collect();
        let kind = match given.as_slice() {
            [kind @ ("systemd" | "runit" | "daemontools")] => {
                let name = self.checked(&fields.get(kind)?, found)?;
                match *kind {
                    "systemd" => ControlKind::Systemd(name),
                    "runit" => ControlKind::Runit(name),
                    _ => ControlKind::Daemontools(name),
                }
            }
            [first, ..]
                if given
                    .iter()
                    .all(|kind| matches!(*kind, "start" | "stop" | "restart")) =>
            {
                for key in ["start", "stop"] {
                    if !fields.has(key) {
                        fields.missing(key, Some(&format!("`{first}` needs it beside it")), found);
                    }
                }
                let mut line = |key| fields.get(key).and_then(|at| self.checked(&at, found));
                let (start, stop, restart) = (line("start"), line("stop"), line("restart"));
                ControlKind::Commands {
                    start: start?,
                    stop: stop?,
                    restart,
                }
            }
            _ => {
                let message = match given.as_slice() {
                    [] => "`control` does not say how".to_owned(),
                    more => format!("`control` says more than one way: {}", more.join(", ")),
                };
                let hint = "one of {systemd: UNIT}, {runit: DIR}, {daemontools: DIR}, {start: COMMAND, stop: COMMAND}";
                found.error(fields.span, &fields.path, message, Some(hint.into()));
                return None;
            }
        };
        Some(Control { kind, sudo })
    }

    /// `control_type`, `start_command`, `stop_command`, `restart_command`.
    fn control_in_words(&self, found: &mut Found) -> Option<Control> {
        let mut line = |key| self.template(key, found);
        let (start, stop, restart) = (
            line("start_command"),
            line("stop_command"),
            line("restart_command"),
        );
        let by_name = || self.service.to_owned();
        let kind = match self.fields.get("control_type") {
            None => None,
            Some(at) => match at.node.as_str() {
                Some("systemd") => Some(ControlKind::Systemd(by_name())),
                Some("runit") => Some(ControlKind::Runit(by_name())),
                Some("daemontools") => Some(ControlKind::Daemontools(by_name())),
                Some("command") => None,
                _ => {
                    let known = ["systemd", "runit", "daemontools", "command"];
                    let near = at.node.as_str().and_then(|word| nearest(word, known));
                    let hint = match near {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!("known: {}", known.join(", ")),
                    };
                    let message = "`control_type` is not known".into();
                    found.error(at.node.span, &at.path, message, Some(hint));
                    return None;
                }
            },
        };
        let kind = match kind {
            Some(kind) => kind,
            None => {
                for key in ["start_command", "stop_command"] {
                    if !self.fields.has(key) {
                        self.fields.missing(
                            key,
                            Some("a service controlled by commands needs both"),
                            found,
                        );
                    }
                }
                ControlKind::Commands {
                    start: start?,
                    stop: stop?,
                    restart,
                }
            }
        };
        Some(Control { kind, sudo: false })
    }
}

/// A path that stays below `whole`.
fn below(at: &At<'_>, path: String, whole: &str, found: &mut Found) -> Option<String> {
    let path = path.trim_end_matches('/').to_owned();
    if path.is_empty() || path.starts_with('/') || path == "." || has_dots(&path) {
        let message = format!(
            "`{}` must be a path below {whole}: relative, without `..`",
            at.key
        );
        found.error(at.node.span, &at.path, message, None);
        return None;
    }
    Some(path)
}

fn has_dots(path: &str) -> bool {
    path.split('/').any(|part| part == "..")
}
