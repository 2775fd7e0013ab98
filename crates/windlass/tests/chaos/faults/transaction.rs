//! One transaction: built, kept and installed.

use std::collections::BTreeSet;

use windlass_testkit::chaos::{Trial, is_full};

use super::trace::{self, Fault, Harm, Harmed};
use crate::trade::{Role, Trade};

#[test]
fn faults_of_a_transaction() {
    let trial = Trial::begin("faults_of_a_transaction");
    let mut trade = Trade::new();
    trade.up();
    trade.goes_well("first");
    let mut numbers = trial.case(u64::MAX);
    let mut faults = Vec::new();
    let mut all_sites = 0;
    for role in Role::ALL {
        let out = trade.world.path().join(format!("recording-{role:?}"));
        trade.service(role).end("TERM");
        let words = trace::recording(&out);
        let service = trade.service(role);
        service.start_as(|command| trace::under(&words, &command));
        let pid = service.pid();
        trade.goes_well(&format!("recorded-{role:?}"));
        trade.service(role).end("TERM");
        trade.supervise();
        let sites = trace::sites(&out, Some(pid), trade.world.path());
        let calls: usize = sites.values().map(Vec::len).sum();
        let all = sites.len();
        trial.say(format_args!("{role:?}: {calls} calls from {all} sites"));
        if is_full() {
            for (site, calls) in &sites {
                trial.say(format_args!("  {} of {site}", calls.len()));
            }
        }
        all_sites += all;
        let of_role = trace::faults(&sites, &mut numbers, true);
        faults.extend(of_role.into_iter().map(|fault| (role, fault)));
    }
    numbers.shuffle(&mut faults);
    let (count, all) = (trial.count(4, u64::MAX), faults.len());
    let count = usize::try_from(count).unwrap_or(all);
    let (mut hit, mut killed, mut failed) = (BTreeSet::new(), 0, 0);
    let mut ends = std::collections::BTreeMap::<String, usize>::new();
    for (n, (role, fault)) in faults.into_iter().enumerate().take(count) {
        trial.say(format_args!("{n} of {all}: {role:?}: {fault}"));
        let (harmed, end) = case(&mut trade, role, &fault, n);
        if harmed.is_nothing() || harmed.is_impossible() {
            continue;
        }
        match fault.harm {
            Harm::Kill => killed += 1,
            Harm::Broken | Harm::Full => failed += 1,
        }
        *ends.entry(end).or_default() += 1;
        hit.insert(format!("{role:?} {}", fault.site));
    }
    trade.nothing_is_lost();
    trial.report(format_args!(
        "{} faults at {} of {all_sites} call sites of a manager, a builder and an installer: {killed} killed them, {failed} calls \
         failed; ends of the transactions: {ends:?}; nothing acknowledged was lost, no install begun twice under one lease",
        killed + failed,
        hit.len()
    ));
    assert!(killed + failed > 0, "nothing was harmed");
}

/// Harms one call of a service, from its start on, during an install; gives what was harmed, and how the transaction ended.
fn case(trade: &mut Trade, role: Role, fault: &Fault, n: usize) -> (Harmed, String) {
    let out = trade.world.path().join(format!("trace-{n}"));
    let words = trace::harming(&out, fault);
    trade.supervise();
    trade.service(role).end("TERM");
    trade
        .service(role)
        .start_as(|command| trace::under(&words, &command));
    let _once = trace::Once::of(&out, trade.service(role).pid());
    let mut status = String::new();
    // the call may come only when something is done for the second time
    for part in 1..=2 {
        let id = trade.ask(&format!("{n}-harmed-{part}"));
        status = trade.end(&id);
        trade.is_true(&id, &status);
        if !trace::harmed_so_far(&out).is_nothing() {
            break;
        }
    }
    let harmed = trace::harmed_so_far(&out);
    if harmed.is_nothing() && trade.service(role).is_running() {
        trade.service(role).end("TERM");
        trade.supervise();
    }
    // who lives goes on as if nothing had been
    trade.goes_well(&format!("{n}-after"));
    trade.nothing_is_lost();
    (harmed, status)
}
