//! The network between a manager and its agents: every request arrives twice and many answers are lost; it is cut, one way or both.

mod place;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use windlass_testkit::chaos::{Numbers, Times, Trial, is_full};
use windlass_testkit::proxy::{Cut, Healing, Mode, Proxy};

use crate::http::ask;
use crate::world::word;
use place::{LEASE, Place};

const DOUBLED: Mode = Mode::Doubled { lost: 30 };
/// Transactions under way at once.
const TOGETHER: u64 = 4;

fn request(number: u64) -> Value {
    json!({"project": "template", "action": "install", "env": "test", "trunk": true, "request_id": format!("mine-{number}")})
}

/// Asks in JSON until it is answered.
fn asked_in_json(proxy: &Proxy, number: u64) -> String {
    let body = request(number).to_string();
    loop {
        let answer = ask(proxy.port(), "POST", "/api/v1/transactions", &body);
        // An answer that breaks off is none.
        let told = answer.and_then(|answer| serde_json::from_str::<Value>(&answer.body).ok());
        if let Some(told) = told {
            return word(&told["transaction"]);
        }
    }
}

/// Asks by XML-RPC until it is answered.
fn asked_by_xmlrpc(place: &Place, proxy: &Proxy, number: u64) -> String {
    let script = r#"
import json
from xmlrpc.client import Fault, ServerProxy
request = json.loads('REQUEST')
while True:
    try:
        print(ServerProxy("http://127.0.0.1:PORT").request_action({}, request))
        break
    except Fault:
        raise
    except Exception:
        pass
"#;
    let script = script.replace("PORT", &proxy.port().to_string());
    let script = script.replace("REQUEST", &request(number).to_string());
    place.world.python(&script).trim().to_owned()
}

#[test]
fn net_doubled_requests_and_lost_answers_change_nothing() {
    let trial = Trial::begin("net_doubled");
    let count = trial.count(2, 60);
    let place = Place::new(trial.seed(), DOUBLED);
    let clients = Proxy::start(place.world.port, trial.seed() ^ 1).unwrap();
    let mut times = Times::default();
    let mut number = 0;
    let mut all = Vec::new();
    for mode in [DOUBLED, Mode::Pass] {
        let count = if mode == Mode::Pass { 1 } else { count };
        clients.set(mode);
        place.proxies.iter().for_each(|proxy| proxy.set(mode));
        let mut left = count;
        while left > 0 {
            let begun = Instant::now();
            let ids: Vec<String> = (0..left.min(TOGETHER))
                .map(|n| match (number + n) % 2 {
                    0 => asked_in_json(&clients, number + n),
                    _ => asked_by_xmlrpc(&place, &clients, number + n),
                })
                .collect();
            ids.iter().for_each(|id| place.ended_well(id));
            times.add(begun.elapsed());
            left -= ids.len() as u64;
            number += ids.len() as u64;
            let last = place.world.get("installed")[0]["transaction"].clone();
            place.is_everywhere(&word(&last));
            all.extend(ids);
        }
    }
    // The same request is the same transaction, for ever; and there is no other.
    assert_eq!(asked_in_json(&clients, 0), all[0]);
    let rows = place.world.get("transactions?limit=1000");
    let mut known: Vec<String> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| word(&row["transaction"]))
        .collect();
    known.sort();
    all.sort();
    assert_eq!(known, all);
    let proxies = place.proxies.iter().chain([&clients]);
    let (doubled, lost) = proxies.fold((0, 0), |(doubled, lost), proxy| {
        (doubled + proxy.doubled(), lost + proxy.lost())
    });
    assert!(lost > 0);
    trial.report(format_args!(
        "{count} installs of three with every request sent twice ({doubled}) and {lost} answers lost: each built, and installed once by each installer, as without; {TOGETHER} at a time, the last without: {times}"
    ));
}

/// What came of one cut.
struct Cutting {
    /// From healing until everything that was not over had gone on.
    resumed: Duration,
    /// From healing until the end.
    ended: Duration,
    was_unknown: bool,
    was_open: bool,
}

fn cut(place: &Place, trial: &Trial, case: u64) -> Cutting {
    let mut numbers: Numbers = trial.case(case);
    let id = place.world.install(&json!({"trunk": true}));
    let wait = Duration::from_millis(numbers.below(3500));
    let kind = *numbers
        .pick(&[Cut::Both, Cut::Requests, Cut::Answers])
        .unwrap();
    let healing = *numbers.pick(&[Healing::Late, Healing::Never]).unwrap();
    let long = LEASE.mul_f64(match numbers.percent(60) {
        true => 1.1 + numbers.part(),
        false => 0.2 + 0.7 * numbers.part(),
    });
    // Half of all cuts are before everybody; the others before some.
    let chosen = if numbers.percent(50) {
        15
    } else {
        1 + numbers.below(15)
    };
    let before: Vec<&Proxy> = (0..)
        .zip(&place.proxies)
        .filter(|(n, _)| chosen & (1 << n) != 0)
        .map(|(_, proxy)| proxy)
        .collect();
    trial.say(format_args!(
        "case {case}: {id}, after {wait:?} {kind:?} cut before {chosen:04b} for {long:?}, healing {healing:?}"
    ));
    std::thread::sleep(wait);
    before.iter().for_each(|proxy| proxy.set(Mode::Cut(kind)));
    std::thread::sleep(long);
    let was_unknown = place.world.count(&id, "unknown") > 0;
    let open = place.open(&id);
    before.iter().for_each(|proxy| proxy.heal(healing));
    let healed = Instant::now();
    let was_open = !open.is_empty();
    let mut waiting = open;
    while !waiting.is_empty() && healed.elapsed() < LEASE * 10 {
        let now = place.open(&id);
        // Who has nothing any more, or was heard of again, has gone on.
        waiting.retain(|(agent, heard)| {
            now.iter()
                .any(|(other, times)| other == agent && times == heard)
        });
        std::thread::sleep(Duration::from_millis(20));
    }
    let resumed = healed.elapsed();
    place.ended_well(&id);
    place.is_everywhere(&id);
    Cutting {
        resumed,
        ended: healed.elapsed(),
        was_unknown,
        was_open,
    }
}

#[test]
fn net_cut_and_healed_goes_on_where_it_was() {
    let trial = Trial::begin("net_cut");
    let count = trial.count(2, 100);
    let place = Place::new(trial.seed(), Mode::Pass);
    let (mut resumed, mut ended) = (Times::default(), Times::default());
    let (mut unknown, mut late) = (0, 0);
    for case in 0..count {
        let cutting = cut(&place, &trial, case);
        unknown += u32::from(cutting.was_unknown);
        if cutting.was_open {
            resumed.add(cutting.resumed);
            ended.add(cutting.ended);
        }
        if cutting.resumed > LEASE * 2 {
            late += 1;
            trial.say(format_args!(
                "case {case} went on after {:?}",
                cutting.resumed
            ));
        }
    }
    trial.report(format_args!(
        "{count} cuts of the links between agents and a manager whose leases are {LEASE:?}, {unknown} with an install that was unknown meanwhile: each release built, and installed once by each installer"
    ));
    trial.report(format_args!(
        "from healing until all work went on: {resumed}; {late} later than twice the lease"
    ));
    trial.report(format_args!("from healing until the end: {ended}"));
    // A machine that does something else as well is no measure.
    assert!(!is_full() || late == 0);
}
