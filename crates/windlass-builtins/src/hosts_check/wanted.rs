//! What a config needs of each host.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use windlass_model::config::Vars;
use windlass_model::config::rolling::{
    Balancer, Control, ControlKind, RollingConfig, RollingService, ServiceHost, Socket,
};
use windlass_model::config::{Config, expand};
use windlass_model::diagnostic::{Diagnostic, Diagnostics};
use windlass_model::ids::HostName;
use windlass_model::step::Endpoint;

use super::balancer::BalancerNeeds;
use super::needs::{Controlled, Needs};
use crate::commands::control::{ControlType, Supervised};

/// In the place of a version, which is not known yet: what lies above it is looked at.
const SOME_VERSION: &str = "0";

/// Which hosts are looked at, and what for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    pub(super) needs: BTreeMap<HostName, Needs>,
}

impl Wanted {
    /// These hosts and what every host needs: a link, a shell, tools, room.
    pub fn of_hosts(hosts: &[HostName]) -> Self {
        let needs = |host: &HostName| (host.clone(), Needs::of_any_host());
        Self {
            needs: hosts.iter().map(needs).collect(),
        }
    }

    /// `hosts`, and what a config of platform `rolling` needs of those of them that it uses: also of the balancers in
    /// front of them.
    ///
    /// # Errors
    ///
    /// What is wrong with the config, all at once.
    pub fn of_rolling(config: &Config, hosts: &[HostName]) -> Result<Self, Diagnostics> {
        let (config, _) = RollingConfig::read(config)?;
        let mut wanted = Self::of_hosts(hosts);
        let chosen: HashSet<&HostName> = hosts.iter().collect();
        let mut faults = Diagnostics::new();
        for service in &config.services {
            if config.ignore_packages.contains(&service.name) {
                continue;
            }
            for host in service.hosts.iter().filter(|h| chosen.contains(&h.name)) {
                if let Err(found) = wanted.add(&config, service, host) {
                    faults.extend(found);
                }
            }
        }
        faults.or(wanted)
    }

    /// Every host that is asked.
    pub fn hosts(&self) -> impl Iterator<Item = &HostName> {
        self.needs.keys()
    }

    fn add(
        &mut self,
        config: &RollingConfig,
        service: &RollingService,
        host: &ServiceHost,
    ) -> Result<(), Diagnostics> {
        let text = |key: &str, template: &str| text(config, service, host, key, template);
        let mut places = BTreeSet::from([text("destination", &service.destination)?]);
        places.insert(match &service.properties_path {
            Some(path) if service.properties => text("properties_path", path)?,
            _ => text("install_location", &service.install_location)?,
        });
        let enabled = service.enabled_on_hosts.as_ref();
        let enabled = enabled.is_none_or(|enabled| enabled.contains(&host.name));
        let control = service.control.as_ref().filter(|_| enabled);
        let controlled = match control {
            Some(control) => controlled(service, control, |name| text("control", name))?,
            None => None,
        };
        let balanced = match (&service.lb_service, config.balancer(host)) {
            (Some(server), Some(balancer)) if enabled => {
                Some((balancer, text("lb_service", server)?))
            }
            _ => None,
        };
        let needs = self.needs.entry(host.name.clone()).or_default();
        needs.write_to(places);
        needs.sudo |= control.is_some_and(|control| control.sudo);
        needs.controlled.extend(controlled);
        if let Some((balancer, server)) = balanced {
            let needs = self.needs.entry(balancer.host.clone()).or_default();
            let asked = asked(&mut needs.balancers, balancer);
            asked.servers.insert(server, host.name.clone());
        }
        Ok(())
    }
}

fn asked<'a>(all: &'a mut Vec<BalancerNeeds>, balancer: &Balancer) -> &'a mut BalancerNeeds {
    let to = match &balancer.socket {
        Socket::Path(path) => Endpoint::Unix(path.clone()),
        Socket::Port(port) => Endpoint::Tcp("127.0.0.1".into(), *port),
    };
    let at = all.iter().position(|asked| asked.to == to);
    let at = at.unwrap_or_else(|| {
        all.push(BalancerNeeds {
            to,
            servers: BTreeMap::new(),
        });
        all.len() - 1
    });
    &mut all[at]
}

/// What is asked of the supervisor of a service; nothing where shell lines control it.
fn controlled(
    service: &RollingService,
    control: &Control,
    text: impl Fn(&str) -> Result<String, Diagnostics>,
) -> Result<Option<Controlled>, Diagnostics> {
    let (kind, name) = match &control.kind {
        ControlKind::Systemd(name) => (ControlType::Systemd, name),
        ControlKind::Runit(name) => (ControlType::Runit, name),
        ControlKind::Daemontools(name) => (ControlType::Daemontools, name),
        ControlKind::Commands { .. } => return Ok(None),
    };
    let supervised = Supervised::new(kind, &text(name)?).map_err(|why| {
        let key = format!("service.{}.control", service.name);
        Diagnostics::from(Diagnostic::error(why).key(key))
    })?;
    Ok(supervised.map(|supervised| Controlled {
        service: service.name.clone(),
        supervised,
        sudo: control.sudo,
    }))
}

/// A string of a service with its names replaced.
fn text(
    config: &RollingConfig,
    service: &RollingService,
    host: &ServiceHost,
    key: &str,
    template: &str,
) -> Result<String, Diagnostics> {
    let vars = Vars {
        service: &service.name,
        version: SOME_VERSION,
        hostname: host.name.as_str(),
        host: host.name.short(),
        port: service.port.as_deref(),
        environment: config.environment.as_deref(),
    };
    expand(template, &vars).map_err(|unknown| {
        let key = format!("service.{}.{key}", service.name);
        let fault = Diagnostic::error(unknown.to_string()).key(key);
        fault.hint(unknown.hint).into()
    })
}
