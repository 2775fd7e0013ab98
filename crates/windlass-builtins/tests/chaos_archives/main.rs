//! `unpack` and archives that want out, that nobody would make, and that are unpacked while somebody changes where they go.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends where an expectation does"
)]
#![allow(clippy::panic, reason = "the functions that tests share are tests")]
#![allow(
    unreachable_pub,
    missing_docs,
    reason = "what tests share with others has their names"
)]
#![allow(
    dead_code,
    reason = "what tests share with others is not all used here"
)]
#![allow(
    clippy::print_stderr,
    reason = "a shell that is not here is said to be missing"
)]

mod generated;
mod hostile;
#[path = "../commands_files/machine.rs"]
mod machine;
mod race;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use machine::Machine;

/// Shells with their tools: GNU's, busybox's, and GNU's without `unzip`.
const SHELLS: [&[&str]; 5] = [
    &["dash"],
    &["bash"],
    &["mksh"],
    &["busybox", "sh"],
    &["dash"],
];
/// The place of busybox among them.
const BUSYBOX: usize = 3;
/// The place of the one without `unzip`.
const NO_UNZIP: usize = 4;

/// Does each case once, on a machine with a shell that the case chooses, two at a time. What a case says is collected.
fn on_machines<T: Send>(
    cases: u64,
    choose: impl Fn(u64) -> usize + Sync,
    try_one: impl Fn(&Machine, u64) -> T + Sync,
) -> Vec<T> {
    let (next, all) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let machine = |at: usize| match at {
                    NO_UNZIP => Machine::new(SHELLS[at].to_vec()).map(|m| without(m, "unzip")),
                    _ => Machine::new(SHELLS[at].to_vec()),
                };
                let machines: Vec<Machine> = (0..SHELLS.len())
                    .map(|at| machine(at).expect("./test installs all shells"))
                    .collect();
                loop {
                    let case = next.fetch_add(1, Ordering::Relaxed);
                    if case >= cases {
                        return;
                    }
                    let one = try_one(&machines[choose(case)], case);
                    all.lock().unwrap().push(one);
                }
            });
        }
    });
    all.into_inner().unwrap()
}

/// With all programs that are here but one.
fn without(mut machine: Machine, program: &str) -> Machine {
    let tools = machine.dir().with_file_name("tools");
    let path = std::env::var_os("PATH").unwrap();
    let dirs = std::env::split_paths(&path).filter_map(|dir| std::fs::read_dir(dir).ok());
    for entry in dirs.flatten().flatten() {
        if entry.file_name() != program {
            // the first of a name, as in a path
            std::os::unix::fs::symlink(entry.path(), tools.join(entry.file_name())).ok();
        }
    }
    machine.path = tools.to_str().unwrap().to_owned();
    machine
}
