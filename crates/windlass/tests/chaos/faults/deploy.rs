//! One deploy.

use std::collections::BTreeSet;

use windlass_testkit::chaos::{Trial, is_full};

use super::trace::{self, Fault, Harm, Harmed};
use crate::small::{HOSTS, Small};
use crate::support::Ran;

/// What became of a case.
enum Came {
    /// The call did not come, or cannot fail so.
    Nothing,
    /// It ended with this status; -1: it was killed. How often it asked when it was gone on with.
    Status(i32, usize),
}

#[test]
fn faults_of_a_deploy() {
    let trial = Trial::begin("faults_of_a_deploy");
    let small = Small::up();
    small.make("0.0.1");
    small.make("0.0.2");
    Ran::of(small.deploy("0.0.1").output().unwrap()).expect(0);
    small.is_well("0.0.1");
    let out = small.at("recording");
    let recorded = trace::under(&trace::recording(&out), &small.deploy("0.0.2")).output();
    Ran::of(recorded.unwrap()).expect(0);
    small.is_well("0.0.2");
    let sites = trace::sites(&out, None, &out);
    let mut numbers = trial.case(u64::MAX);
    let mut faults = trace::faults(&sites, &mut numbers, false);
    numbers.shuffle(&mut faults);
    let calls: usize = sites.values().map(Vec::len).sum();
    let (count, all) = (trial.count(6, u64::MAX), faults.len());
    trial.say(format_args!("{calls} calls from {} sites", sites.len()));
    if is_full() {
        sites
            .iter()
            .for_each(|(site, calls)| trial.say(format_args!("  {} of {site}", calls.len())));
    }
    let (mut hit, mut harmless, mut killed, mut told) = (BTreeSet::new(), 0, 0, 0);
    let mut asked = 0;
    for (n, fault) in faults
        .into_iter()
        .enumerate()
        .take(usize::try_from(count).unwrap_or(all))
    {
        let version = format!("1.0.{n}");
        trial.say(format_args!("{n} of {all}: {fault}"));
        match case(&small, &fault, &version) {
            Came::Nothing => continue,
            Came::Status(0, _) => harmless += 1,
            Came::Status(status, times) => {
                asked += times;
                match status {
                    -1 => killed += 1,
                    _ => told += 1,
                }
            }
        }
        hit.insert(fault.site);
    }
    trial.report(format_args!(
        "{} faults at {} of {} call sites of a deploy: {killed} killed it, {told} it told of, {harmless} it went on from; \
         every run was gone on with to a good end ({asked} of them asked what came of a task), each task begun once",
        killed + told + harmless,
        hit.len(),
        sites.len()
    ));
    assert!(killed + told > 0, "nothing was harmed");
}

fn case(small: &Small, fault: &Fault, version: &str) -> Came {
    small.make(version);
    let before: Vec<String> = HOSTS.map(|host| small.visible(host)).into();
    let runs = small.runs();
    let out = small.at(&format!("trace-{version}"));
    // nothing may hang: what does is killed, and counts as that
    let mut words = vec![
        "timeout".to_owned(),
        // not strace, which is to write down the end
        "--foreground".into(),
        "-s".into(),
        "KILL".into(),
        "30".into(),
    ];
    words.extend(trace::harming(&out, fault));
    let ran = trace::under(&words, &small.deploy(version)).output();
    let ran = Ran::of(ran.unwrap());
    let harmed = trace::harmed(&out);
    let status = ran.status;
    let _shown = Shown(format!("{harmed:?}, status {status}\n{}", ran.stderr));
    // whatever happened, what is visible is whole, and nothing was begun twice
    for (host, before) in HOSTS.iter().zip(&before) {
        let visible = small.visible(host);
        assert!(
            visible == *before || visible == version,
            "{host}: {visible}"
        );
        assert!(small.done(host, version).0 <= 1, "{host} began twice");
    }
    let run = small.runs().into_iter().find(|run| !runs.contains(run));
    let shown = run.as_ref().and_then(|run| small.shown(run));
    let (mut asked, mut is_released) = (0, true);
    if ran.status == 0 {
        small.is_well(version);
        assert_eq!(shown.unwrap()["state"], "succeeded");
    } else {
        assert!(!harmed.is_nothing(), "{}", ran.stderr);
        if !harmed.is_impossible() {
            tells(&ran, fault, &harmed);
        }
        match (&run, &shown) {
            (_, Some(shown)) if shown["state"] == "succeeded" => is_released = false,
            (Some(run), Some(shown)) if shown["state"] != "not begun" => {
                assert_ne!(shown["state"], "running", "{shown}");
                asked = small.go_on(run, version);
            }
            // it had not begun, so nothing was done
            _ => {
                HOSTS
                    .into_iter()
                    .for_each(|host| assert_eq!(small.done(host, version), (0, 0)));
                Ran::of(small.deploy(version).output().unwrap()).expect(0);
            }
        }
        match is_released {
            true => small.is_well(version),
            false => small.is_deployed(version),
        }
    }
    match harmed.is_nothing() || harmed.is_impossible() {
        true => Came::Nothing,
        false => Came::Status(ran.status, asked),
    }
}

/// What is shown when a case fails.
struct Shown(String);

impl Drop for Shown {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("-- the deploy: {}", self.0);
        }
    }
}

/// How it ends says what failed, and where.
fn tells(ran: &Ran, fault: &Fault, harmed: &Harmed) {
    if fault.harm == Harm::Kill {
        return assert_eq!(ran.status, -1);
    }
    let said = &ran.stderr;
    assert!([1, 2, 3, 4].contains(&ran.status), "{}: {said}", ran.status);
    let on = harmed.on.first().map_or("", String::as_str);
    // strace counts in each thread: the same number may also hit what it would have said, so its status is all that tells
    if harmed.on.iter().skip(1).any(|on| on == "pipe") && !said.contains(fault.harm.text()) {
        return;
    }
    match on {
        "tcp" | "socket" => {
            let names_a_host = HOSTS.iter().any(|host| said.contains(host));
            assert!(names_a_host, "{said}");
        }
        // what the host is told through: its shell, or ours
        "pipe" => assert!(said.contains("error"), "{said}"),
        _ => {
            assert!(said.contains(fault.harm.text()), "{on}: {said}");
            let name = on.rsplit('/').next().unwrap_or(on);
            let named = name.split('#').all(|part| said.contains(part));
            assert!(named, "{on} is not named: {said}");
        }
    }
}
