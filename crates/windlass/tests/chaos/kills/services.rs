//! Managers, builders, installers and databases are killed while clients ask, one after the other and two at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use windlass_testkit::chaos::{Numbers, Trial, is_full};

use super::checks::{all_holds, rest};
use super::clients::{Clients, Known};
use super::recovery::Recovery;
use super::stage::{Stage, Store};
use super::watcher::Watcher;
use super::witness::Witness;

/// Kills before everything is left in peace and looked at.
const ROUND: u64 = 50;
/// Clients that ask at once.
const CLIENTS: u64 = 6;

#[test]
fn kills_of_services_lose_nothing_and_do_nothing_twice() {
    let trial = Trial::begin("kills_of_services");
    let count = trial.count(20, 850);
    let stores = match is_full() {
        true => Store::ALL.to_vec(),
        false => vec![Store::ALL[(trial.seed() % 3) as usize]],
    };
    let all = stores.len() as u64;
    for (n, store) in stores.into_iter().enumerate() {
        let n = n as u64;
        // what does not divide evenly goes to the first ones
        let kills = count / all + u64::from(n < count % all);
        on(&trial, store, kills, n * 1_000_000);
    }
}

/// Kills that many on one store. `first` is the number of its first case.
fn on(trial: &Trial, store: Store, kills: u64, first: u64) {
    let mut stage = Stage::up(store);
    let witness = Arc::new(Witness::new(stage.world.path().join("witness")));
    let known = Known::default();
    let again = Arc::new(AtomicU64::new(0));
    let mut recovery = Recovery::default();
    let (mut done, mut looks, mut last) = (0, 0, None);
    while done < kills {
        let watcher = Watcher::start(stage.shown().into_iter().map(|(_, path)| path).collect());
        let clients = (0..CLIENTS).map(|client| trial.case(first + 500_000 + done * 10 + client));
        let clients = Clients::start(stage.port(), &known, &witness, &again, clients.collect());
        let until = (done + ROUND).min(kills);
        while done < until {
            done += kill(
                trial,
                &mut stage,
                &mut trial.case(first + done),
                &mut recovery,
            );
        }
        recovery.look_for(&stage, Duration::from_secs(2));
        stage.all_up();
        stage.answering();
        clients.end();
        let mut numbers = trial.case(first + 900_000 + done);
        rest(&stage, &known, &mut numbers);
        looks += watcher.end();
        last = Some(all_holds(&stage, &known, &mut numbers));
        trial.say(format_args!("{}: {done} kills", store.name()));
    }
    let Some((ends, counts)) = last else {
        return;
    };
    let name = store.name();
    let ended: Vec<String> = ends
        .by_status
        .iter()
        .map(|(status, count)| format!("{count} {status}"))
        .collect();
    trial.report(format_args!(
        "{name}: {done} kills; {} transactions acknowledged, 0 lost ({}; {} were unknown, and settled); requests sent \
         again: {}",
        known.ids().len(),
        ended.join(", "),
        ends.settled,
        again.load(Ordering::Relaxed),
    ));
    trial.report(format_args!(
        "{name}: witness: {} builds begun and {} finished, {} installs begun and {} finished; 0 twice under one fence, 0 beside \
         another; {looks} looks at what is installed, 0 half-visible",
        counts.builds, counts.built, counts.installs, counts.installed,
    ));
    recovery.report(trial, name);
}

/// Kills one, or two at once, and starts them again. How many it killed.
fn kill(trial: &Trial, stage: &mut Stage, numbers: &mut Numbers, recovery: &mut Recovery) -> u64 {
    let part = |numbers: &mut Numbers, most: f64| Duration::from_secs_f64(numbers.part() * most);
    recovery.look_for(stage, part(numbers, 1.2));
    let count = 1 + u64::from(numbers.percent(15));
    let mut victims = Vec::new();
    for _ in 0..count {
        let victim = stage.choose(numbers);
        recovery.killed(victim);
        stage.kill(victim);
        victims.push(victim);
    }
    trial.say(format_args!("killed: {victims:?}"));
    recovery.look_for(stage, part(numbers, 0.6));
    stage.manager_is_up();
    numbers.shuffle(&mut victims);
    for victim in victims {
        stage.start(victim);
        recovery.restarted(victim, stage);
    }
    count
}
