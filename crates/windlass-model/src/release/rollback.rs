//! What becomes of an install that failed where the project says `on_failure: rollback`: pure.
//!
//! That a rollback is owed is written into the history together with the failure, so that a manager that ends in between
//! knows of it when it is there again. What goes back is decided by what is where then.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::ids::{AgentName, Environment, ReleaseId, TargetName, TransactionId};
use super::job::JobState;
use super::rollout::OnFailure;
use super::transaction::{End, Phase};
use super::whole::{Actor, AgentKind, Effect, Transaction, Whole};

/// The entry of a history that says that a rollback is owed.
pub const OWED: &str = "rollback owed";
/// The entry that says that it was begun.
pub const BEGUN: &str = "rollback begun";
/// The entry that says what was left as it is.
pub const LEFT: &str = "rollback left";

/// The key of the request data that names the transaction which is taken back.
const OF: &str = "rollback_of";
/// The key of the request data that names the installers of each target.
const ONLY: &str = "rollback_only";

/// An install of one target by one installer.
pub type Place = (TargetName, AgentName);

/// The entry that goes with a change, where that change made an install fail which is to be taken back: also one that was unknown,
/// and is settled. `before`: how it had ended before the change, if it had.
pub fn owed(before: Option<End>, whole: &Whole, on_failure: OnFailure) -> Option<Effect> {
    let transaction = &whole.transaction;
    let failed = before != Some(End::InstallFailed)
        && transaction.phase == Phase::Ended
        && transaction.end == Some(End::InstallFailed);
    let is_wanted = on_failure == OnFailure::Rollback && takes_back(transaction).is_none();
    let installed = whole
        .jobs
        .iter()
        .any(|job| job.kind == AgentKind::Installer && job.state == JobState::Done);
    (failed && is_wanted && installed).then(|| Effect::History {
        actor: Actor::manager(),
        what: OWED,
        detail: "what was installed goes back, as `on_failure` says".into(),
    })
}

/// What a failed transaction put somewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Put {
    /// The target.
    pub target: TargetName,
    /// The installer.
    pub agent: AgentName,
    /// The host.
    pub host: String,
    /// What was there before; none: nothing, or nobody knows.
    pub previous: Option<ReleaseId>,
}

/// What goes back, and what does not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rollback {
    /// The releases that were there before, each with where it goes back.
    pub back: BTreeMap<ReleaseId, BTreeSet<Place>>,
    /// What stays as it is, with the reason.
    pub left: BTreeMap<Place, String>,
}

/// Decides what goes back. `cannot`: why a release cannot be installed into a target, if it cannot.
pub fn decide(
    puts: &[Put],
    cannot: impl Fn(&ReleaseId, &TargetName) -> Option<String>,
) -> Rollback {
    let mut places: BTreeMap<Place, BTreeSet<Option<&ReleaseId>>> = BTreeMap::new();
    for put in puts {
        let place = (put.target.clone(), put.agent.clone());
        let before = places.entry(place).or_default();
        before.insert(put.previous.as_ref());
    }
    let mut rollback = Rollback::default();
    for (place, before) in places {
        let mut all = before.iter();
        let reason = match (all.next(), all.next()) {
            (Some(Some(previous)), None) => match cannot(previous, &place.0) {
                Some(why) => why,
                None => {
                    let back = rollback.back.entry((*previous).clone()).or_default();
                    back.insert(place);
                    continue;
                }
            },
            (Some(None) | None, None) => "what was there before is not known".into(),
            _ => "its hosts had different releases before".into(),
        };
        rollback.left.insert(place, reason);
    }
    rollback
}

/// The request data of a transaction that takes another one back.
pub fn request(
    of: &TransactionId,
    environment: &Environment,
    release: &ReleaseId,
    places: &BTreeSet<Place>,
) -> Map<String, Value> {
    let mut only: BTreeMap<&TargetName, Vec<&AgentName>> = BTreeMap::new();
    for (target, agent) in places {
        only.entry(target).or_default().push(agent);
    }
    let components: Vec<&TargetName> = only.keys().copied().collect();
    let data = json!({
        "project": release.project,
        "action": "install",
        "env": environment,
        "release": release.to_string(),
        "components": components,
        OF: of,
        ONLY: only,
    });
    match data {
        Value::Object(data) => data,
        _ => Map::new(),
    }
}

/// Which transaction a transaction takes back, and where; none for any other. Only the manager makes such: what a client
/// writes into its request under these keys says nothing.
pub fn takes_back(transaction: &Transaction) -> Option<(TransactionId, BTreeSet<Place>)> {
    if transaction.actor != Actor::manager() {
        return None;
    }
    let of = transaction.request.get(OF)?.as_str()?.parse().ok()?;
    let only = transaction.request.get(ONLY)?.clone();
    let only: BTreeMap<TargetName, Vec<AgentName>> = serde_json::from_value(only).ok()?;
    let places = only
        .into_iter()
        .flat_map(|(target, agents)| agents.into_iter().map(move |agent| (target.clone(), agent)));
    Some((of, places.collect()))
}

/// `web by a, web by b`.
pub fn named<'a>(places: impl IntoIterator<Item = &'a Place>) -> String {
    let names = places.into_iter().map(|(t, a)| format!("{t} by {a}"));
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn put(target: &str, agent: &str, host: &str, previous: Option<&str>) -> Put {
        Put {
            target: target.parse().unwrap(),
            agent: agent.parse().unwrap(),
            host: host.into(),
            previous: previous.map(|p| p.parse().unwrap()),
        }
    }

    fn shown(rollback: &Rollback) -> String {
        let back = rollback.back.iter();
        let mut lines: Vec<String> = back.map(|(r, p)| format!("{r}: {}", named(p))).collect();
        let left = rollback.left.iter();
        lines.extend(left.map(|(place, why)| format!("{}: {why}", named([place]))));
        lines.join("\n")
    }

    #[test]
    fn each_goes_back_to_what_it_had() {
        let puts = [
            put("web", "a", "local", Some("p@1")),
            put("web", "b", "local", Some("p@2")),
            put("db", "a", "h1", Some("p@1")),
            put("db", "a", "h2", Some("p@1")),
            put("new", "a", "local", None),
            put("mixed", "a", "h1", Some("p@1")),
            put("mixed", "a", "h2", None),
            put("bad", "a", "local", Some("p@3")),
        ];
        let cannot = |release: &ReleaseId, _: &TargetName| {
            (release.version.as_str() == "3").then(|| "p@3 was rejected".into())
        };
        let text = "p@1: db by a, web by a\np@2: web by b\nbad by a: p@3 was rejected\n\
                    mixed by a: its hosts had different releases before\n\
                    new by a: what was there before is not known";
        assert_eq!(shown(&decide(&puts, cannot)), text);
    }

    #[test]
    fn only_the_manager_takes_back() {
        let places = BTreeSet::from([("web".parse().unwrap(), "a".parse().unwrap())]);
        let release = "p@1".parse().unwrap();
        let environment = "test".parse().unwrap();
        let data = request(&"t1".parse().unwrap(), &environment, &release, &places);
        let read = crate::release::Request::read(&data).unwrap();
        assert_eq!(read.components, Some(vec!["web".parse().unwrap()]));
        let mut transaction = Transaction {
            id: "t2".parse().unwrap(),
            sequence: 2,
            project: "p".parse().unwrap(),
            action: "install".into(),
            environment: Some(environment),
            request: data,
            actor: Actor::manager(),
            phase: Phase::Ended,
            end: Some(End::InstallFailed),
            installs: true,
            release: Some(release),
            wave: 1,
            max_failures: 0,
            cancelled: false,
            why: None,
            created_at: 0,
            ended_at: None,
        };
        let of = takes_back(&transaction);
        assert_eq!(of, Some(("t1".parse().unwrap(), places)));
        let mut whole = Whole {
            transaction: transaction.clone(),
            jobs: Vec::new(),
        };
        whole.jobs.push(super::super::whole::Job {
            id: "j".parse().unwrap(),
            kind: AgentKind::Installer,
            target: None,
            agent: None,
            wave: 1,
            state: JobState::Done,
            attempt: 1,
            epoch: 1,
            lease_until: None,
            deadline: None,
            result: None,
        });
        let owes = |whole: &Whole, policy| owed(None, whole, policy).is_some();
        // What takes back is not taken back itself.
        assert!(!owes(&whole, OnFailure::Rollback));
        transaction.actor.address = "127.0.0.1".into();
        assert_eq!(takes_back(&transaction), None);
        whole.transaction = transaction;
        assert!(owes(&whole, OnFailure::Rollback));
        assert!(!owes(&whole, OnFailure::Stop));
        let settled = owed(Some(End::Unknown), &whole, OnFailure::Rollback);
        assert!(settled.is_some(), "it was unknown, and has failed");
        let again = owed(Some(End::InstallFailed), &whole, OnFailure::Rollback);
        assert!(again.is_none(), "it had failed before");
        whole.jobs.clear();
        assert!(!owes(&whole, OnFailure::Rollback));
    }
}
