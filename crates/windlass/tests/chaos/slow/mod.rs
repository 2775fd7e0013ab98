//! Thousands of connections that do as little as they can, readers who stop reading, and no file descriptors left.

mod crowd;

use std::fs;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use windlass_testkit::chaos::{Times, Trial, is_full};

use crate::http::ask;
use crate::service::{Form, Service, until};
use crate::world::{RECIPE, World, word};
use crowd::{Crowd, Manner};

/// Clients who want an answer, at once.
const GOOD: usize = 20;
/// How much the manager may grow for a connection, and for a reader who does not read, in KiB: what it has asked for so far, and the
/// page of 256 KiB that it is being answered with, in the forms that this takes.
const CONNECTION: u64 = 32;
const READER: u64 = 1024;
/// Requests that a reader who does not read sends together: their answers are more than the system keeps for one who does not read.
const PIPELINED: usize = 40;

/// What a process has of the machine's memory, in KiB.
fn memory(service: &Service) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", service.pid())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// How long a process has computed, in hundredths of a second.
fn computed(service: &Service) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", service.pid())).unwrap();
    let (_, after) = stat.rsplit_once(')').unwrap();
    let fields: Vec<&str> = after.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// How many files and sockets a process has.
fn descriptors(service: &Service) -> usize {
    let open = fs::read_dir(format!("/proc/{}/fd", service.pid()));
    open.unwrap().count()
}

/// So many files for this process and those that it starts, or as many as it may have.
fn may_open(files: u64) {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum.map_or(files, |most| most.min(files));
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(current),
            maximum: limit.maximum,
        },
    )
    .unwrap();
}

fn get(path: &str) -> Vec<u8> {
    format!("GET /api/v1/{path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

/// All manners, in turn.
fn manners(count: usize, log: &str, readers: usize) -> Vec<Manner> {
    let head = b"POST /RPC2 HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\nContent-Length: 900000\r\n";
    let whole = [&head[..], b"\r\n"].concat();
    let list = get("transactions?limit=1000");
    let slow = (0..count).map(|n| match n % 5 {
        0 => Manner::Nothing,
        1 => Manner::Drips(head.to_vec()),
        2 => Manner::Stops(whole.clone()),
        3 => Manner::DripsAfter(whole.clone()),
        _ => Manner::Sips(list.clone()),
    });
    let log = get(log).repeat(PIPELINED);
    slow.chain((0..readers).map(|_| Manner::Ignores(log.clone())))
        .collect()
}

/// What the good clients ask, one after the other.
const CALL: &str = "<?xml version='1.0'?><methodCall><methodName>list_projects</methodName><params></params></methodCall>";

/// What good clients and agents had of a while.
struct Had {
    times: Times,
    installs: u64,
    peak: u64,
}

/// Good clients ask, and agents work, for so long; every answer is a good one.
fn good(world: &World, manager: &Service, id: &str, long: Duration) -> Had {
    let (over, installs, peak) = (
        AtomicBool::new(false),
        AtomicU64::new(0),
        AtomicU64::new(memory(manager)),
    );
    let times = Mutex::new(Times::default());
    std::thread::scope(|scope| {
        for n in 0..GOOD {
            let (over, times) = (&over, &times);
            scope.spawn(move || {
                let paths = [
                    "/api/v1/transactions?limit=20".to_owned(),
                    format!("/api/v1/transactions/{id}/history"),
                    "/api/v1/installed".to_owned(),
                ];
                let mut asked = n;
                while !over.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    let answer = match paths.get(asked % 4) {
                        Some(path) => ask(world.port, "GET", path, ""),
                        None => ask(world.port, "POST", "/RPC2", CALL),
                    };
                    let took = begun.elapsed();
                    let answer = answer.unwrap();
                    assert_eq!(answer.status, 200, "{}", answer.body);
                    times.lock().unwrap().add(took);
                    asked += 1;
                    std::thread::sleep(Duration::from_millis(50));
                }
            });
        }
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                world.installed(&json!({"release": release(world)}));
                installs.fetch_add(1, Ordering::Relaxed);
            }
        });
        let begun = Instant::now();
        while begun.elapsed() < long {
            peak.fetch_max(memory(manager), Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(100));
        }
        over.store(true, Ordering::Relaxed);
    });
    Had {
        times: times.into_inner().unwrap(),
        installs: installs.into_inner(),
        peak: peak.into_inner(),
    }
}

/// The newest release.
fn release(world: &World) -> String {
    word(&world.get("releases")[0]["release"])
}

#[test]
fn slow_connections_and_stalled_readers_hold_nobody_up() {
    let trial = Trial::begin("slow");
    may_open(8192);
    let count = usize::try_from(trial.count(2000, 2000)).unwrap();
    let readers = 50;
    let long = Duration::from_secs(if is_full() { 150 } else { 4 });
    let world = World::new(Form::Yaml);
    let (manager, builder, _installers) = world.all(2);
    let recipe = "klass: commands\nvcs: {directory: svn_checkout/template}\ntargets: {template: {from: site}}\ncommands: [\"head -c 6000000 /dev/zero | tr '\\\\0' x | fold -w 100\"]\n";
    builder.write(&format!("{RECIPE}.yaml"), recipe);
    let mut builder = builder;
    builder.kill();
    builder.start();
    let id = world.installed(&json!({"trunk": true}));
    let jobs = world.get(&format!("transactions/{id}"))["jobs"].clone();
    let build = jobs
        .as_array()
        .unwrap()
        .iter()
        .find(|job| job["kind"] == "builder")
        .unwrap();
    let log = format!(
        "transactions/{id}/jobs/{}/log?offset=0",
        word(&build["job"])
    );
    assert!(world.get(&log)["text"].as_str().unwrap().len() > 200_000);

    let without = good(&world, &manager, &id, long);
    let before = memory(&manager);
    let crowd = Crowd::gather(world.port, manners(count, &log, readers));
    let with = good(&world, &manager, &id, long);
    let (hung_up, held) = (crowd.hung_up(), descriptors(&manager));
    drop(crowd);
    let calm = good(&world, &manager, &id, long.min(Duration::from_secs(10)));
    let after = memory(&manager);
    trial.report(format_args!(
        "{GOOD} clients while 3 agents work, alone: {}, {} installs",
        without.times, without.installs
    ));
    trial.report(format_args!(
        "the same with {count} connections that do as little as they can and {readers} readers of a log who do not read: {}, {} installs; the manager hung up {hung_up} times, and had {held} descriptors at the end",
        with.times, with.installs
    ));
    trial.report(format_args!(
        "alone again: {}, {} installs",
        calm.times, calm.installs
    ));
    trial.report(format_args!(
        "the manager's memory in KiB: {before} before, {} at most, {after} after",
        with.peak
    ));
    let growth = count as u64 * CONNECTION + readers as u64 * READER;
    assert!(
        with.peak < before + growth,
        "{before} KiB, then {} KiB",
        with.peak
    );
    assert!(with.installs > 0);
    // Who reads nothing, or sends nothing, is not waited for for ever.
    assert!(!is_full() || hung_up >= count as u64);
}

#[test]
fn slow_when_no_descriptor_is_left_nothing_spins_and_all_comes_back() {
    let trial = Trial::begin("slow_descriptors");
    let all = getrlimit(Resource::Nofile);
    may_open(256);
    let world = World::new(Form::Yaml);
    let mut manager = world.manager();
    world.up(&mut manager);
    may_open(4096);
    // It asks for as many as it may have, whatever it was started with.
    let limits = fs::read_to_string(format!("/proc/{}/limits", manager.pid())).unwrap();
    let files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let files: Vec<&str> = files.split_whitespace().collect();
    assert_eq!(files[3], files[4]);
    assert_eq!(files[4].parse().ok(), all.maximum);
    // Then nearly all are taken away from it.
    let open = descriptors(&manager);
    let limit = format!("--nofile={0}:{0}", open + 20);
    let pid = manager.pid().to_string();
    assert!(
        Command::new("prlimit")
            .args(["--pid", &pid, &limit])
            .status()
            .unwrap()
            .success()
    );
    let crowd = Crowd::gather(world.port, vec![Manner::Nothing; 100]);
    until("all descriptors are taken", || {
        (descriptors(&manager) >= open + 15).then_some(())
    });
    let (begun, before) = (Instant::now(), computed(&manager));
    let mut answered = 0;
    while begun.elapsed() < Duration::from_secs(3) {
        let answer = ask(world.port, "GET", "/healthz", "");
        answered += u32::from(answer.is_some_and(|answer| answer.status == 200));
        std::thread::sleep(Duration::from_millis(50));
    }
    let busy = computed(&manager) - before;
    trial.report(format_args!(
        "20 descriptors for 100 silent connections: {answered} requests answered in {:?}, {busy} hundredths of a second computed",
        begun.elapsed()
    ));
    assert!(answered > 0);
    // The processor's time, and not the clock's: a loop that spins takes all of it.
    assert!(
        u128::from(busy) * 10 < begun.elapsed().as_millis() / 2,
        "{busy}"
    );
    drop(crowd);
    until("everything is answered again", || {
        let answer = ask(world.port, "GET", "/api/v1/transactions", "")?;
        (answer.status == 200).then_some(())
    });
    assert!(descriptors(&manager) < open + 15);
}
