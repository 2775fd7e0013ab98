//! Which hosts get which package, and what the config's strings say there.

use std::collections::HashSet;

use windlass_engine::generator::RemoteVersions;
use windlass_model::config::rolling::{Balancer, RollingConfig, RollingService, ServiceHost};
use windlass_model::config::{Vars, expand};
use windlass_model::diagnostic::{Diagnostic, Diagnostics};
use windlass_model::ids::HostName;
use windlass_model::package::Package;
use windlass_model::tasklist::Task;
use windlass_model::tree::Node;

/// A package for a host.
pub(super) struct Target<'a> {
    pub(super) service: &'a RollingService,
    pub(super) package: &'a Package,
    pub(super) host: &'a HostName,
    /// In front of the host, when the service is balanced.
    pub(super) balancer: Option<&'a Balancer>,
    /// What runs there, as far as is known.
    pub(super) running: Option<String>,
    /// The directory of uploaded packages.
    pub(super) destination: String,
    /// The directory of releases.
    pub(super) install_location: String,
    /// The directory of unpacked packages.
    pub(super) unpack_dir: String,
    config: &'a RollingConfig,
}

/// A line for the log.
pub(super) struct Said {
    pub(super) host: Option<HostName>,
    pub(super) service: String,
    pub(super) message: String,
}

/// What is to be done where.
pub(super) struct Choice<'a> {
    /// By package, then by host, both in the order of the config.
    pub(super) targets: Vec<Target<'a>>,
    /// Where migrations run: one host a service that has them.
    pub(super) migrations: Vec<Target<'a>>,
    /// Where the version runs already: nothing is to be done, but what an earlier deploy left there may be in the way.
    pub(super) done: Vec<Target<'a>>,
    /// Why hosts are left out.
    pub(super) said: Vec<Said>,
}

/// Chooses hosts: those of each package's service, within the limits of the options, that do not run the version yet.
pub(super) fn choose<'a>(
    config: &'a RollingConfig,
    packages: &'a [Package],
    versions: &RemoteVersions,
    redeploy: bool,
) -> Result<Choice<'a>, Diagnostics> {
    let mut choice = Choice {
        targets: Vec::new(),
        migrations: Vec::new(),
        done: Vec::new(),
        said: Vec::new(),
    };
    let mut faults = Diagnostics::new();
    for package in packages {
        let Some(service) = config.service(&package.service) else {
            faults.push(super::unknown_service(package));
            continue;
        };
        if let Err(found) = choice.add(config, service, package, versions, redeploy) {
            faults.extend(found);
        }
    }
    faults.or(choice)
}

impl<'a> Choice<'a> {
    fn add(
        &mut self,
        config: &'a RollingConfig,
        service: &'a RollingService,
        package: &'a Package,
        versions: &RemoteVersions,
        redeploy: bool,
    ) -> Result<(), Diagnostics> {
        let running = |host: &HostName| versions.get(&service.name)?.get(host)?.clone();
        let is_done = |host: &HostName| {
            !redeploy && !service.properties && running(host).as_deref() == Some(&*package.version)
        };
        let is_chosen = |host: &HostName| {
            config
                .only_hosts
                .as_ref()
                .is_none_or(|only| only.contains(host))
        };
        let before = self.targets.len();
        let mut chosen = service
            .hosts
            .iter()
            .filter(|host| is_chosen(&host.name))
            .peekable();
        if chosen.peek().is_none() {
            self.say(
                service,
                None,
                "none of its hosts is among those that were chosen".into(),
            );
        }
        for host in chosen {
            if is_done(&host.name) {
                let message = format!("{} {} already runs here", service.name, package.version);
                self.say(service, Some(&host.name), message);
                let target = Target::new(config, service, package, host, running(&host.name))?;
                self.done.push(target);
                continue;
            }
            let target = Target::new(config, service, package, host, running(&host.name))?;
            self.targets.push(target);
        }
        let Some(first) = service.hosts.first().filter(|first| !is_done(&first.name)) else {
            return Ok(());
        };
        if service.migration_command.is_some() && self.targets.len() > before {
            if !is_chosen(&first.name) {
                let message = "not among the chosen hosts, but its migrations run here: the package is unpacked, not deployed";
                self.say(service, Some(&first.name), message.into());
            }
            let target = Target::new(config, service, package, first, running(&first.name))?;
            self.migrations.push(target);
        }
        Ok(())
    }

    fn say(&mut self, service: &RollingService, host: Option<&HostName>, message: String) {
        self.said.push(Said {
            host: host.cloned(),
            service: service.name.clone(),
            message,
        });
    }

    /// Targets on which the package must be unpacked: every one, and hosts that only migrate.
    pub(super) fn unpacked(&self) -> impl Iterator<Item = &Target<'a>> {
        let deployed: HashSet<(&str, &HostName)> = self
            .targets
            .iter()
            .map(|target| (target.service.name.as_str(), target.host))
            .collect();
        let only_migrated = self
            .migrations
            .iter()
            .filter(move |target| !deployed.contains(&(target.service.name.as_str(), target.host)));
        self.targets.iter().chain(only_migrated)
    }

    /// Targets where what is not needed any more is removed.
    pub(super) fn tidied(&self) -> impl Iterator<Item = &Target<'a>> {
        self.unpacked().chain(&self.done)
    }

    /// Every host that is touched, each once.
    pub(super) fn hosts(&self) -> Vec<&'a HostName> {
        let mut seen = HashSet::new();
        self.tidied()
            .map(|target| target.host)
            .filter(|host| seen.insert(*host))
            .collect()
    }
}

impl<'a> Target<'a> {
    pub(super) fn new(
        config: &'a RollingConfig,
        service: &'a RollingService,
        package: &'a Package,
        host: &'a ServiceHost,
        running: Option<String>,
    ) -> Result<Self, Diagnostics> {
        let balancer = service
            .lb_service
            .as_ref()
            .and_then(|_| config.balancer(host));
        let mut target = Self {
            service,
            package,
            host: &host.name,
            balancer,
            running,
            destination: String::new(),
            install_location: String::new(),
            unpack_dir: String::new(),
            config,
        };
        target.destination = target.text("destination", &service.destination)?;
        target.install_location = target.text("install_location", &service.install_location)?;
        let below = target.text("unpack_dir", &service.unpack_dir)?;
        let first = below.split('/').next().unwrap_or_default();
        if ["shared", ".windlass", &service.name].contains(&first) {
            // It is removed as a whole after a deploy.
            let message =
                format!("`{below}` cannot be the directory to unpack in: what is there must stay");
            let fault =
                Diagnostic::error(message).key(format!("service.{}.unpack_dir", service.name));
            return Err(fault
                .hint("leave `unpack_dir` out, or name a directory for nothing else")
                .into());
        }
        target.unpack_dir = format!("{}/{below}", target.install_location);
        Ok(target)
    }

    /// A string of the service with its names replaced.
    pub(super) fn text(&self, key: &str, template: &str) -> Result<String, Diagnostics> {
        let vars = Vars {
            service: &self.service.name,
            version: &self.package.version,
            hostname: self.host.as_str(),
            host: self.host.short(),
            port: self.service.port.as_deref(),
            environment: self.config.environment.as_deref(),
        };
        expand(template, &vars).map_err(|unknown| {
            let key = format!("service.{}.{key}", self.service.name);
            Diagnostic::error(unknown.to_string())
                .key(key)
                .hint(unknown.hint)
                .into()
        })
    }

    /// `shop_1.4.0`: the name of its directories.
    pub(super) fn release_name(&self) -> String {
        format!("{}_{}", self.service.name, self.package.version)
    }

    /// Where the package is unpacked.
    pub(super) fn unpacked(&self) -> String {
        format!("{}/{}", self.unpack_dir, self.release_name())
    }

    /// Whether the service is started and checked there.
    pub(super) fn is_enabled(&self) -> bool {
        let enabled = self.service.enabled_on_hosts.as_ref();
        enabled.is_none_or(|enabled| enabled.contains(self.host))
    }

    /// A task on its host, tagged with its service.
    pub(super) fn task<V: Into<Node>>(
        &self,
        command: &str,
        args: impl IntoIterator<Item = (&'static str, V)>,
    ) -> Task {
        Task {
            command: command.into(),
            remote_host: Some(self.host.clone()),
            remote_user: self.config.user.clone(),
            tag: Some(self.service.name.clone()),
            args: args.into_iter().collect(),
            ..Task::default()
        }
    }
}
