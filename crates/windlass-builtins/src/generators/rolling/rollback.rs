//! Taking a run back: the hosts that it changed, where nobody has changed them since, go back to what ran well before.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use windlass_model::config::Config;
use windlass_model::config::rolling::{RollingConfig, RollingService, ServiceHost};
use windlass_model::diagnostic::{Diagnostic, Diagnostics};
use windlass_model::ids::HostName;
use windlass_model::package::Package;
use windlass_model::receipt::{Back, Receipt, ReceiptPlan, SUCCEEDED, Undo, undo};
use windlass_model::tasklist::{Job, Plan, Tasklist};

use super::super::packages::some_of;
use super::deploy::{Release, chain, host_by_host};
use super::healthy::{Known, keep_healthy};
use super::look::{Found, Said, some_version};
use super::stages::Stages;
use super::target::Target;

/// What taking a run back would do.
#[derive(Debug, Default)]
pub struct Rollback {
    /// What goes back, in the order of the config; what does not work first.
    pub put_back: Vec<PutBack>,
    /// What the run changed, and what stays as it is all the same.
    pub left_alone: Vec<LeftAlone>,
    /// Why nothing of it may be begun; empty when it may.
    pub refused: Diagnostics,
}

/// A service on a host that goes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutBack {
    /// The service.
    pub service: String,
    /// The host.
    pub host: HostName,
    /// The version that the link points to now.
    pub from: Option<String>,
    /// The version that it goes back to.
    pub to: String,
    /// What the run came to there: `succeeded`, `failed`, `unknown` or `cut off`.
    pub result: String,
    /// Whether the service does not work there now; such hosts go back first.
    pub is_broken: bool,
    /// The run whose receipt is the last one there.
    last_run: String,
}

/// A service on a host that stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftAlone {
    /// The service.
    pub service: String,
    /// The host.
    pub host: HostName,
    /// Why.
    pub why: String,
    /// Whether nothing is to be done because it is as it was before the run already.
    pub is_back: bool,
}

/// What a run began, as its journal tells: (service, host) -> the receipt that was to be left.
pub type Begun = BTreeMap<(String, HostName), ReceiptPlan>;

/// The receipt that was left last, among everything that was found.
pub fn newest(found: &[Found]) -> Option<&Receipt> {
    let said = found.iter().filter_map(|found| found.said.as_ref().ok());
    said.filter_map(|said| said.receipts.last())
        .max_by_key(|receipt| (receipt.place(), receipt.time))
}

/// What taking `run` back would do, by what the hosts say. It is refused as a whole: when a release to go back to is
/// gone; when it would go back across a migration, unless `across_migrations`; when a host did not answer that the run may
/// have changed: any, or only one of those that it `begun`, where the journal is at hand. By that one, too, hosts are known
/// where the run was cut off before it left a receipt.
///
/// Errors: no host tells of the run.
pub fn rollback(
    config: &RollingConfig,
    found: &[Found],
    run: &str,
    across_migrations: bool,
    begun: Option<&Begun>,
) -> Result<Rollback, Diagnostics> {
    let mut rollback = Rollback::default();
    let mut silent = BTreeSet::new();
    let mut untold = Vec::new();
    for found in found {
        let key = (found.service.clone(), found.host.clone());
        let planned = begun.and_then(|begun| begun.get(&key));
        match &found.said {
            Ok(said) => match undo(&said.receipts, run) {
                Undo::Untouched => match planned {
                    Some(planned) => {
                        rollback.cut_off(config, found, said, (run, planned), across_migrations)
                    }
                    None => untold.push((found, said)),
                },
                way => rollback.add(config, found, said, run, way, across_migrations),
            },
            Err(why) => {
                let is_concerned = begun.is_none() || planned.is_some();
                if is_concerned && silent.insert(&found.host) {
                    let message = format!(
                        "{} does not answer, and the run may have changed it: {why}",
                        found.host
                    );
                    let hint = format!("`--without {}` leaves it out", found.host);
                    rollback.refused.push(Diagnostic::error(message).hint(hint));
                }
            }
        }
    }
    if rollback.put_back.is_empty() && rollback.left_alone.is_empty() {
        let message = format!("no host of the config tells of run `{run}`");
        let hint = "`windlass where` shows which runs changed them last";
        rollback.refused.push(Diagnostic::error(message).hint(hint));
        return Err(rollback.refused);
    }
    let concerned: BTreeSet<String> = rollback.services().map(str::to_owned).collect();
    for (found, said) in untold {
        if said.healthy == Some(false) && concerned.contains(&found.service) {
            let why = "it does not pass its check, and no receipt of the run is there: the run may have been cut off here";
            rollback.leave(found, why.into(), false);
        }
    }
    rollback.put_back.sort_by_key(|back| !back.is_broken);
    Ok(rollback)
}

impl Rollback {
    fn add(
        &mut self,
        config: &RollingConfig,
        found: &Found,
        said: &Said,
        run: &str,
        way: Undo<'_>,
        across_migrations: bool,
    ) {
        let back = match way {
            Undo::Untouched => return,
            Undo::Back(back) => back,
            Undo::Done(by) => {
                return self.leave(found, format!("taken back by run {}", by.run), true);
            }
            Undo::ChangedSince(by) => {
                let why = format!(
                    "changed since, by {} in run {}: {}",
                    by.by,
                    by.run,
                    change(by)
                );
                return self.leave(found, why, false);
            }
            Undo::NothingBefore => {
                return self.leave(found, "nothing ran well there before".into(), false);
            }
            Undo::SameRelease => {
                let why = "the run put the same release there that was there before";
                return self.leave(found, why.into(), true);
            }
        };
        self.go_back(config, found, said, (run, back), across_migrations);
    }

    /// Where the run was cut off before it left a receipt.
    fn cut_off(
        &mut self,
        config: &RollingConfig,
        found: &Found,
        said: &Said,
        (run, planned): (&str, &ReceiptPlan),
        across_migrations: bool,
    ) {
        // Ids of runs sort by time.
        if let Some(last) = said.receipts.last().filter(|last| last.run.as_str() > run) {
            return self.add(
                config,
                found,
                said,
                run,
                Undo::ChangedSince(last),
                across_migrations,
            );
        }
        let good = said.receipts.iter().rfind(|receipt| receipt.succeeded());
        let good = match good {
            Some(good) => Some(&good.to),
            None => planned.from.as_ref(),
        };
        let Some(to) = good else {
            return self.add(
                config,
                found,
                said,
                run,
                Undo::NothingBefore,
                across_migrations,
            );
        };
        let version = planned.version.as_str();
        if version == to {
            let why = format!(
                "cut off while it put {version} there again: `windlass deploy --resume {run}`"
            );
            return self.leave(found, why, false);
        }
        let back = Back {
            to,
            result: "cut off",
            touched: vec![to, version],
            migrated: planned.migrated.then_some(version).into_iter().collect(),
        };
        self.go_back(config, found, said, (run, back), across_migrations);
    }

    fn go_back(
        &mut self,
        config: &RollingConfig,
        found: &Found,
        said: &Said,
        (run, back): (&str, Back<'_>),
        across_migrations: bool,
    ) {
        let from = said.release(&found.service);
        if from
            .as_deref()
            .is_none_or(|from| !back.touched.contains(&from))
            && from.is_some()
        {
            let link = said.link.as_deref().unwrap_or_default();
            let why = format!("the link points to {link}, of which no receipt tells");
            return self.leave(found, why, false);
        }
        let place = format!("{} on {}", found.service, found.host);
        if !said.releases.contains(back.to) {
            let message = format!(
                "{place} cannot go back to {}: the release is gone from {}",
                back.to, found.install_location
            );
            let hint = format!(
                "deploy {} {} again, or leave the host out: `--without {}`",
                found.service, back.to, found.host
            );
            self.refused.push(Diagnostic::error(message).hint(hint));
        }
        let crossed = match config.service(&found.service) {
            Some(service) => crossed(service, &back, said),
            None => Vec::new(),
        };
        if !crossed.is_empty() && !across_migrations {
            let message = format!(
                "{place} would go back to {} across the migration of {}",
                back.to,
                crossed.join(", ")
            );
            let hint = "migrations are not taken back; where the older release can live with what they did: `--across-migrations`";
            self.refused.push(Diagnostic::error(message).hint(hint));
        }
        self.put_back.push(PutBack {
            service: found.service.clone(),
            host: found.host.clone(),
            from,
            to: back.to.to_owned(),
            result: back.result.to_owned(),
            is_broken: back.result != SUCCEEDED || said.healthy == Some(false),
            last_run: said
                .receipts
                .last()
                .map_or_else(|| run.to_owned(), |last| last.run.clone()),
        });
    }

    /// The services that the run changed, as often as hosts.
    fn services(&self) -> impl Iterator<Item = &str> {
        let back = self.put_back.iter().map(|back| back.service.as_str());
        back.chain(self.left_alone.iter().map(|left| left.service.as_str()))
    }

    fn leave(&mut self, found: &Found, why: String, is_back: bool) {
        self.left_alone.push(LeftAlone {
            service: found.service.clone(),
            host: found.host.clone(),
            why,
            is_back,
        });
    }

    /// The tasklist that does it: as a deploy without its first stages, in the reverse of `deployment_order`, within the
    /// limits of deploying, hosts that do not work first.
    pub fn tasklist(
        &self,
        written: &Config,
        config: &RollingConfig,
        run: &str,
    ) -> Result<Tasklist, Diagnostics> {
        let mut places: Vec<(&PutBack, &RollingService, &ServiceHost, Package)> = Vec::new();
        for back in &self.put_back {
            let Some(service) = config.service(&back.service) else {
                continue;
            };
            let host = service.hosts.iter().find(|host| host.name == back.host);
            places.extend(host.map(|host| (back, service, host, some_version(service, &back.to))));
        }
        let mut by_service: HashMap<&str, Vec<(&PutBack, Target<'_>)>> = HashMap::new();
        for (back, service, host, package) in &places {
            let target = Target::new(config, service, package, host, back.from.clone())?;
            by_service
                .entry(&service.name)
                .or_default()
                .push((back, target));
        }
        let mut stages = Stages::new(config);
        let mut plan = Plan {
            config: super::digest_of(written),
            ..Plan::default()
        };
        for together in config.deployment_order.iter().rev() {
            let services: Vec<&str> = together
                .iter()
                .rev()
                .map(String::as_str)
                .filter(|service| by_service.contains_key(service))
                .collect();
            let targets: Vec<&(&PutBack, Target<'_>)> = services
                .iter()
                .filter_map(|service| by_service.get(service))
                .flatten()
                .collect();
            let mut jobs = Vec::new();
            for (back, target) in host_by_host(&targets, |(_, target)| target.host) {
                jobs.push(Job::Chain(chain(target, Release::Kept)?));
                plan.receipts.push(ReceiptPlan {
                    job: format!("{}.{}", stages.next_number(), jobs.len()),
                    service: back.service.clone(),
                    version: back.to.clone(),
                    from: back.from.clone(),
                    install_location: target.install_location.clone(),
                    redeploy: true,
                    undoes: Some(run.to_owned()),
                    only_after: Some(back.last_run.clone()),
                    ..ReceiptPlan::default()
                });
            }
            stages.push(
                format!("Roll back {}", some_of(&services)),
                stages.deploy(),
                jobs,
            );
        }
        let locked: BTreeSet<&HostName> = self.put_back.iter().map(|back| &back.host).collect();
        plan.locks = locked.into_iter().map(ToString::to_string).collect();
        for (back, service, ..) in &places {
            if plan.min_healthy.contains_key(&service.name) {
                continue;
            }
            let from = |host: &HostName| {
                let here = |p: &&PutBack| p.service == service.name && p.host == *host;
                self.put_back.iter().find(here)?.from.clone()
            };
            keep_healthy(&mut plan, config, service, |host| Known {
                version: from(host).unwrap_or_else(|| back.to.clone()),
                is_new: false,
            })?;
        }
        let mut what: Vec<String> = Vec::new();
        for back in &self.put_back {
            let one = format!("{} to {}", back.service, back.to);
            if !what.contains(&one) {
                what.push(one);
            }
        }
        Ok(Tasklist {
            name: format!("Roll back {} (run {run})", some_of(&what)),
            stages: stages.finish(),
            plan: Some(plan),
            source: None,
        })
    }
}

fn change(receipt: &Receipt) -> String {
    match receipt.succeeded() {
        true => format!("{} {}", receipt.service, receipt.to),
        false => format!("{} {}, {}", receipt.service, receipt.to, receipt.result),
    }
}

/// The versions on the way back that migrated. Where the config names a path in the release, one that is there without it
/// did not.
fn crossed<'a>(service: &RollingService, back: &Back<'a>, said: &Said) -> Vec<&'a str> {
    let is_seen = service
        .migration_path
        .as_ref()
        .is_some_and(|path| !path.starts_with('/') && !path.contains("{version}"));
    let migrated = |version: &&str| {
        !is_seen || !said.releases.contains(*version) || said.migrating.contains(*version)
    };
    back.migrated.iter().copied().filter(migrated).collect()
}
