//! What `plan --show HOST` prints and what the host's shells were really given agree, step for step: the host's sshd runs
//! under strace, which writes down every byte that any `sh` below it read from its standard input.

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation does")]

mod support;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::shop::Shop;

/// One thing that a host is made to do.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Done {
    /// A program.
    Run(String),
    /// A file that is put there.
    Put(String),
}

#[test]
fn the_host_was_given_what_show_prints() {
    // declared first and so dropped last: `down` finds the sshd as the child of its strace
    let _traced;
    let shop = Shop::up();
    // so that there is one order of things on a host
    let (keep, one) = ("keep_versions: 2", "non_deploy_concurrency_per_host: 1");
    shop.edit_config(keep, &format!("{keep}\n{one}"));
    shop.deploy("1.0.0").expect(0);
    let saved = shop.at("plan.json");
    shop.with_release("plan", "2.0.0", &["--save", &saved])
        .expect(0);
    let shown = shop.windlass("plan", &["--tasklist", &saved, "--show", "app1"]);
    let shown = shown_steps(&shown.expect(0).stdout);
    let traces = shop.path().join("traces");
    std::fs::create_dir(&traces).unwrap();
    _traced = trace_sshd(&shop, "app1", &traces);
    shop.windlass("deploy", &["--tasklist", &saved]).expect(0);

    let mut done = Vec::new();
    for step in seen_steps(&traces) {
        let is_receipt =
            matches!(&step, Done::Run(script) if script.contains(".windlass/receipts/shop' && cd"));
        let is_own = matches!(&step, Done::Run(script)
            if script.contains(": windlass-lock ")
                || script.starts_with(": windlass-keep ")
                || script.starts_with(": windlass-forget "));
        let is_again = done.last() == Some(&step);
        // locks and what is kept are the engine's own; the receipt's contents are known at the end only; a check is asked until it passes
        if !is_receipt && !is_own && !is_again {
            done.push(step);
        }
    }
    for (n, step) in shown.iter().enumerate() {
        assert_eq!(done.get(n), Some(step), "step {n} of app1");
    }
    assert_eq!(done.len(), shown.len(), "{:#?}", done.get(shown.len()..));
    let programs = shown.iter().filter(|s| matches!(s, Done::Run(_))).count();
    assert_eq!((shown.len() - programs, programs), (1, 12));
}

/// The steps between the headings of `--show`, as they stand there.
fn shown_steps(text: &str) -> Vec<Done> {
    let mut steps = Vec::new();
    let mut script = String::new();
    let end = |script: &mut String, steps: &mut Vec<Done>| {
        let text = std::mem::take(script).trim().to_owned();
        if !text.is_empty() {
            steps.push(Done::Run(text));
        }
    };
    let mut is_depending = false;
    for line in text.lines() {
        if line.starts_with("# then, depending") {
            is_depending = true;
        } else if line.starts_with("## ") {
            is_depending = false;
        }
        // the scripts of Windlass hold no comments, so these lines are those of the outline
        if let Some(rest) = line.strip_prefix('#') {
            end(&mut script, &mut steps);
            if let Some(put) = rest.strip_prefix(" put ") {
                let (_, to) = put.split_once(" as ").unwrap();
                steps.push(Done::Put(to.to_owned()));
            }
        } else if !is_depending {
            script.push_str(line);
            script.push('\n');
        }
    }
    end(&mut script, &mut steps);
    steps
}

/// Ends the sshd of a host and starts it again under strace, one file a process in `traces`.
fn trace_sshd(shop: &Shop, host: &str, traces: &Path) -> Traced {
    let pid_file = shop.path().join(format!("pids/sshd-{host}"));
    let pid: u32 = std::fs::read_to_string(&pid_file)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    support::signal(pid, "TERM");
    let config = shop.at(&format!("ssh/{host}/sshd_config"));
    let config_text = std::fs::read_to_string(&config).unwrap();
    let address = config_text
        .lines()
        .find_map(|line| line.strip_prefix("ListenAddress "))
        .unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while std::net::TcpStream::connect(address).is_ok() {
        assert!(Instant::now() < end, "the old sshd stays");
        std::thread::sleep(Duration::from_millis(20));
    }
    let log = std::fs::File::create(shop.path().join("strace.log")).unwrap();
    let strace = Command::new("strace")
        .args(["-ff", "-y", "-ttt", "-xx", "-s", "200000"])
        .args(["-e", "trace=read,execve", "-o"])
        .arg(traces.join("trace"))
        .args(["/usr/sbin/sshd", "-D", "-e", "-f", &config])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        // by this the example's `down` knows what is its own
        .env("WINDLASS_EXAMPLE", shop.path())
        .spawn();
    let traced = Traced(strace.unwrap());
    std::fs::write(&pid_file, format!("{}\n", traced.0.id())).unwrap();
    while std::net::TcpStream::connect(address).is_err() {
        let log = std::fs::read_to_string(shop.path().join("strace.log")).unwrap();
        assert!(Instant::now() < end, "no sshd under strace: {log}");
        std::thread::sleep(Duration::from_millis(20));
    }
    traced
}

/// An sshd under strace, which the example's `down` ends with all that descends from it.
struct Traced(Child);

impl Drop for Traced {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What every shell below the sshd read from its standard input, in the order of time, taken apart into steps.
fn seen_steps(traces: &Path) -> Vec<Done> {
    let mut shells: Vec<(f64, String)> = Vec::new();
    for file in std::fs::read_dir(traces).unwrap() {
        let trace = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let mut is_shell = false;
        for line in trace.lines() {
            let Some((time, call)) = line.split_once(' ') else {
                continue;
            };
            if let Some(arguments) = call.strip_prefix("execve(") {
                let program = first_string(arguments);
                is_shell = call.ends_with("= 0") && program.ends_with("/sh");
            } else if let Some(read) = call.strip_prefix("read(0<")
                && let Some((file, arguments)) = read.split_once(">, ")
                && is_shell
                && !is_of_proc(file)
            {
                shells.push((time.parse().unwrap(), first_string(arguments)));
            }
        }
    }
    shells.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let text: String = shells.into_iter().map(|(_, text)| text).collect();
    steps_of(&text)
}

/// Whether a shell read this from /proc, by a `read` of its own, one byte after the other.
fn is_of_proc(file: &str) -> bool {
    file.starts_with("/proc/") || file.starts_with(r"\x2f\x70\x72\x6f\x63\x2f")
}

/// The first argument, a string as `strace -xx` prints it: `"\x61\x62"...`.
fn first_string(arguments: &str) -> String {
    let hex = arguments.strip_prefix('"').unwrap_or_default();
    let hex = hex.split('"').next().unwrap_or_default();
    let bytes = hex
        .split("\\x")
        .skip(1)
        .map(|pair| u8::from_str_radix(pair, 16).unwrap())
        .collect();
    String::from_utf8(bytes).unwrap_or_default()
}

/// Takes the texts that shells are given apart: programs stand in `eval '...' ) </dev/null`, a file that is put names
/// itself `w_f=`.
fn steps_of(text: &str) -> Vec<Done> {
    let mut steps = Vec::new();
    let mut rest = text;
    while let Some(at) = rest
        .find("eval ")
        .into_iter()
        .chain(rest.find("\nw_f="))
        .min()
    {
        rest = &rest[at..];
        if let Some(put) = rest.strip_prefix("\nw_f=") {
            let (to, after) = unquote(put);
            steps.push(Done::Put(to));
            rest = after;
        } else {
            let (script, after) = unquote(&rest["eval ".len()..]);
            // What outlives the link prints to files.
            if [" ) </dev/null\n", " ) </dev/null >&8 2>&9 "]
                .iter()
                .any(|end| after.starts_with(end))
            {
                steps.push(Done::Run(script.trim().to_owned()));
            }
            rest = after;
        }
    }
    steps
}

/// A word of sh, with its quotes taken away, and what follows it.
fn unquote(text: &str) -> (String, &str) {
    let mut word = String::new();
    let mut rest = text;
    loop {
        if let Some(quoted) = rest.strip_prefix('\'') {
            let (inside, after) = quoted.split_once('\'').unwrap();
            word.push_str(inside);
            rest = after;
        } else if let Some(after) = rest.strip_prefix("\\'") {
            word.push('\'');
            rest = after;
        } else if let Some(c) = rest.chars().next().filter(|c| !c.is_whitespace()) {
            word.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            return (word, rest);
        }
    }
}
