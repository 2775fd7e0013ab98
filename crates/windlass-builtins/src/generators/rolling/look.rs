//! What is where: hosts are asked for links, releases, receipts and health, one conversation a host.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use windlass_engine::executor::{Standing, read_receipt};
use windlass_engine::host::{Batch, Conversation, Heard, HostError, HostErrorKind, Hosts};
use windlass_model::config::rolling::{Check, RollingConfig, RollingService, ServiceHost};
use windlass_model::diagnostic::{Diagnostic, Diagnostics};
use windlass_model::ids::{HostName, TaskId};
use windlass_model::package::Package;
use windlass_model::receipt::Receipt;
use windlass_model::step::{Http, Reply, Run, Step, Via, Want};

use super::target::Target;
use crate::sh::quote;

/// Hosts that are asked at once.
pub(super) const ASKED_AT_ONCE: usize = 32;
/// How long a host may take, the connection included, before its checks are asked.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// How long one check may take, at most.
const LONGEST_CHECK: Duration = Duration::from_secs(10);
/// How many receipts of a service are read, the newest.
const RECEIPTS: usize = 50;

/// A service on a host, as the host tells it.
#[derive(Clone, Debug)]
pub struct Found {
    /// The service.
    pub service: String,
    /// The host.
    pub host: HostName,
    /// Where the host keeps its releases.
    pub install_location: String,
    /// What it says; one line when it could not be asked.
    pub said: Result<Said, String>,
}

/// What a host says of a service.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// The last part of the path that the link points to.
    pub link: Option<String>,
    /// Versions whose release directories are there.
    pub releases: BTreeSet<String>,
    /// Those of them that hold a migration, where the config says how that is seen.
    pub migrating: BTreeSet<String>,
    /// The oldest first; at most the last 50.
    pub receipts: Vec<Receipt>,
    /// Whether the service passed its check; `None`: there is no check, or nothing to check.
    pub healthy: Option<bool>,
}

impl Said {
    /// The version that the link points to.
    pub fn release(&self, service: &str) -> Option<String> {
        let standing = Standing {
            link: self.link.clone(),
            receipt: None,
        };
        standing.linked(service).map(str::to_owned)
    }

    /// The receipt of the change that put the present release there.
    pub fn put_by(&self, service: &str) -> Option<&Receipt> {
        let release = self.release(service)?;
        self.receipts.iter().rfind(|receipt| receipt.to == release)
    }
}

/// A service on a host, to be asked for.
struct Place<'a> {
    service: &'a RollingService,
    host: &'a ServiceHost,
    install_location: String,
    /// A path below a release that says that it migrates.
    migration_path: Option<String>,
}

/// Asks every host of these `services` (all if empty) that the options of the config choose, those of `without` left out:
/// all at once, 32 at a time, each within a minute and 10 s for each check. Changes nothing. What they said comes in the
/// order of the config. With `checked`, each service's check is asked once.
///
/// Errors: an unknown service; an `install_location` that depends on the version.
pub async fn look(
    config: &RollingConfig,
    hosts: &Arc<dyn Hosts>,
    services: &[String],
    without: &[HostName],
    checked: bool,
) -> Result<Vec<Found>, Diagnostics> {
    let places = places(config, services, without)?;
    let mut by_host: BTreeMap<&HostName, Vec<usize>> = BTreeMap::new();
    for (index, place) in places.iter().enumerate() {
        by_host.entry(&place.host.name).or_default().push(index);
    }
    let mut asked = Vec::with_capacity(by_host.len());
    for (host, indices) in by_host {
        let places: Vec<&Place<'_>> = indices.iter().filter_map(|i| places.get(*i)).collect();
        asked.push(async move {
            (
                indices,
                ask_host(config, &**hosts, host, &places, checked).await,
            )
        });
    }
    let mut answers: Vec<Option<Result<Said, String>>> = Vec::new();
    answers.resize_with(places.len(), || None);
    let mut asked = stream::iter(asked).buffer_unordered(ASKED_AT_ONCE);
    while let Some((indices, said)) = asked.next().await {
        let (mut said, why) = match said {
            Ok(said) => (said.into_iter(), String::new()),
            Err(error) => (Vec::new().into_iter(), error.message),
        };
        for index in indices {
            if let Some(answer) = answers.get_mut(index) {
                *answer = Some(said.next().ok_or_else(|| why.clone()));
            }
        }
    }
    drop(asked);
    let found = places.into_iter().zip(answers).map(|(place, said)| Found {
        service: place.service.name.clone(),
        host: place.host.name.clone(),
        install_location: place.install_location,
        said: said.unwrap_or_else(|| Err("not asked".into())),
    });
    Ok(found.collect())
}

fn places<'a>(
    config: &'a RollingConfig,
    services: &[String],
    without: &[HostName],
) -> Result<Vec<Place<'a>>, Diagnostics> {
    let mut faults = Diagnostics::new();
    for name in services {
        if config.service(name).is_none() {
            faults.push(super::service::no_such_service(config, name));
        }
    }
    let is_chosen = |host: &HostName| {
        let only = config.only_hosts.as_ref();
        only.is_none_or(|only| only.contains(host)) && !without.contains(host)
    };
    let mut places = Vec::new();
    for service in &config.services {
        let is_asked = services.is_empty() || services.contains(&service.name);
        if service.properties || !is_asked {
            continue;
        }
        if service.install_location.contains("{version}") {
            let message = format!(
                "where `{}` is installed depends on the version: nobody can tell which one runs",
                service.name
            );
            let key = format!("service.{}.install_location", service.name);
            let hint = "leave `{version}` out: each release gets a directory of its own in it";
            faults.push(Diagnostic::error(message).key(key).hint(hint));
            continue;
        }
        for host in service.hosts.iter().filter(|host| is_chosen(&host.name)) {
            let package = some_version(service, "");
            let target = Target::new(config, service, &package, host, None)?;
            let migration_path = match &service.migration_path {
                Some(path) if !path.starts_with('/') && !path.contains("{version}") => {
                    Some(target.text("migration_path", path)?)
                }
                _ => None,
            };
            let install_location = target.install_location.clone();
            places.push(Place {
                service,
                host,
                install_location,
                migration_path,
            });
        }
    }
    faults.or(places)
}

/// A package that stands for a version that is there.
pub(super) fn some_version(service: &RollingService, version: &str) -> Package {
    Package {
        service: service.name.clone(),
        version: version.to_owned(),
        filename: String::new(),
        path: "".into(),
        sha256: String::new(),
    }
}

async fn ask_host(
    config: &RollingConfig,
    hosts: &dyn Hosts,
    host: &HostName,
    places: &[&Place<'_>],
    checked: bool,
) -> Result<Vec<Said>, HostError> {
    let late = || {
        HostError::new(
            HostErrorKind::Lost,
            format!("no answer within {} s", PATIENCE.as_secs()),
        )
    };
    let mut said = Vec::with_capacity(places.len());
    let user = config.user.as_deref();
    let asked = async {
        let mut talk = hosts.converse(host, user).await?;
        talk.send(
            batch(places.iter().map(|place| probe(place).into()).collect()),
            &Arc::default(),
        )
        .await?;
        for place in places {
            said.push(match reply(&mut *talk).await? {
                Reply::Ran {
                    status: 0, stdout, ..
                } => read(&place.service.name, &stdout),
                other => return Err(HostError::new(HostErrorKind::Shell, refusal(&other))),
            });
        }
        Ok(talk)
    };
    let talk = tokio::time::timeout(PATIENCE, asked)
        .await
        .map_err(|_| late())??;
    if !checked {
        talk.close().await;
        return Ok(said);
    }
    let mut talk = Some(talk);
    for (place, said) in places.iter().zip(&mut said) {
        let Some(step) = question(config, place, said) else {
            continue;
        };
        let mut open = match talk.take() {
            Some(talk) => talk,
            // The last check had to be ended, and its conversation with it.
            None => match tokio::time::timeout(PATIENCE, hosts.converse(host, user)).await {
                Ok(Ok(talk)) => talk,
                _ => break,
            },
        };
        let asked = async {
            open.send(batch(vec![step]), &Arc::default()).await?;
            reply(&mut *open).await
        };
        match tokio::time::timeout(LONGEST_CHECK, asked).await {
            Ok(Ok(reply)) => {
                said.healthy = Some(matches!(
                    reply,
                    Reply::Ran { status: 0, .. } | Reply::Http { status: 200, .. }
                ));
                talk = Some(open);
            }
            Ok(Err(_)) => break,
            Err(_) => {
                said.healthy = Some(false);
                open.kill().await;
            }
        }
    }
    if let Some(talk) = talk {
        talk.close().await;
    }
    Ok(said)
}

pub(super) fn batch(steps: Vec<Step>) -> Batch {
    Batch {
        task: TaskId::new(0, 0, 0),
        steps,
        ahead: false,
        keep: None,
    }
}

pub(super) async fn reply(talk: &mut dyn Conversation) -> Result<Reply, HostError> {
    loop {
        if let Heard::Reply(_, reply) = talk.hear().await? {
            return Ok(reply);
        }
    }
}

fn refusal(reply: &Reply) -> String {
    match reply {
        Reply::Ran { status, stderr, .. } => {
            format!(
                "the question ended with exit status {status}: {}",
                stderr.trim()
            )
        }
        Reply::Impossible(why) => why.clone(),
        _ => "an answer to something else".into(),
    }
}

/// The service's check, asked once; where it is enabled and a release is there.
fn question(config: &RollingConfig, place: &Place<'_>, said: &Said) -> Option<Step> {
    let service = place.service;
    let package = some_version(service, &said.release(&service.name)?);
    let target = Target::new(config, service, &package, place.host, None).ok()?;
    if !target.is_enabled() {
        return None;
    }
    match service.check.as_ref()? {
        Check::Command(line) => {
            let line = target.text("check_command", line).ok()?;
            Some(Run::script(line).want(Want::Any).into())
        }
        Check::Url(url) => Some(Step::Http(Http {
            via: Via::Task,
            method: "GET".into(),
            url: target.text("check", url).ok()?.into(),
            headers: Vec::new(),
            body: None,
            proxy: None,
            time_limit: LONGEST_CHECK.as_secs() as u32,
        })),
    }
}

/// Prints what [`read`] reads. Changes nothing; a missing directory is no error.
fn probe(place: &Place<'_>) -> Run {
    let (service, path) = (&place.service.name, place.migration_path.as_deref());
    let script = format!(
        "cd {} 2>/dev/null || exit 0\n\
         service={}; path={}\n\
         printf 'L %s\\n' \"$(readlink \"$service\" 2>/dev/null)\"\n\
         for release in \"$service\"_*; do\n\
         [ -d \"$release\" ] && [ ! -L \"$release\" ] || continue\n\
         printf 'D %s\\n' \"$release\"\n\
         [ -z \"$path\" ] || [ ! -e \"$release/$path\" ] || printf 'M %s\\n' \"$release\"\n\
         done\n\
         cd \".windlass/receipts/$service\" 2>/dev/null || exit 0\n\
         set -- *.json\n\
         [ $# -le {RECEIPTS} ] || shift $(($# - {RECEIPTS}))\n\
         for receipt; do\n\
         [ -f \"$receipt\" ] || continue\n\
         printf 'R '; cat \"$receipt\"; echo\n\
         done\n\
         exit 0",
        quote(&place.install_location),
        quote(service),
        quote(path.unwrap_or_default()),
    );
    Run::script(script).want(Want::Any)
}

/// Reads what [`probe`] printed; lines that it does not know are passed over.
fn read(service: &str, output: &str) -> Said {
    let mut said = Said::default();
    let version = |name: &str| {
        let version = name.strip_prefix(service)?.strip_prefix('_')?;
        Some(version.to_owned())
    };
    for line in output.lines() {
        match line.split_once(' ') {
            Some(("L", link)) => {
                let name = link.rsplit('/').next().filter(|name| !name.is_empty());
                said.link = name.map(str::to_owned);
            }
            Some(("D", name)) => said.releases.extend(version(name)),
            Some(("M", name)) => said.migrating.extend(version(name)),
            Some(("R", json)) => said.receipts.push(read_receipt(service, json)),
            _ => {}
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_printed_is_read() {
        let said = read(
            "shop",
            "L /opt/webapps/shop_2.0\nD shop_1.0\nD shop_2.0\nD shop_admin\nM shop_2.0\n\
             R {\"service\":\"shop\",\"time\":5,\"run\":\"r\",\"by\":\"a@b\",\"to\":\"2.0\",\"result\":\"succeeded\"}\n\n\
             R torn{\nrest\n",
        );
        assert_eq!(said.release("shop").as_deref(), Some("2.0"));
        assert_eq!(said.put_by("shop").map(|r| r.time), Some(5));
        assert!(said.releases.contains("1.0") && said.migrating.contains("2.0"));
        assert_eq!(said.receipts.len(), 2);
        assert_eq!(said.receipts[1].result, "unknown");
    }
}
