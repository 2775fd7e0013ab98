//! The programs, under the shells that hosts have, on real files.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use windlass_model::ids::RunId;

use super::answer::{self, Answer, Is};
use super::{Claim, LockState, script};

const SHELLS: [&[&str]; 4] = [&["dash"], &["bash"], &["busybox", "sh"], &["mksh"]];

/// A host's lock: a directory of its own for the state.
struct Place {
    dir: TempDir,
    shell: &'static [&'static str],
}

/// Runs a test under every shell that is there.
fn everywhere(test: impl Fn(&Place)) {
    let mut tried = 0;
    for shell in SHELLS {
        let place = Place {
            dir: tempfile::tempdir().unwrap(),
            shell,
        };
        let mut probe = place.command();
        if probe.args(["-c", ":"]).output().is_ok() {
            tried += 1;
            test(&place);
        }
    }
    assert!(tried > 0, "there is no shell");
}

fn claim(run: &str, lease: u64) -> Claim {
    Claim {
        run: RunId::new(run).unwrap(),
        after: None,
        by: format!("{run}@my machine"),
        pid: 7,
        hosts: Vec::new(),
        user: None,
        lease: Duration::from_secs(lease),
        wait: Duration::ZERO,
    }
}

impl Place {
    fn command(&self) -> Command {
        let (program, arguments) = self.shell.split_first().unwrap();
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("XDG_STATE_HOME", self.dir.path().join("a state's home"));
        command
    }

    fn start(&self, text: &str) -> Child {
        let mut command = self.command();
        command
            .args(["-c", text])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    fn try_do(&self, text: &str) -> Result<Answer, String> {
        let out = self.start(text).wait_with_output().unwrap();
        let said = String::from_utf8(out.stderr).unwrap();
        assert_eq!(said, "", "{:?} complained", self.shell);
        answer::read(&String::from_utf8(out.stdout).unwrap())
    }

    fn act(&self, text: &str) -> Answer {
        self.try_do(text)
            .unwrap_or_else(|why| panic!("{:?}: {why}", self.shell))
    }

    fn take(&self, run: &str, lease: u64) -> Answer {
        self.act(&script::take(&claim(run, lease), &token(run), false))
    }

    fn renew(&self, run: &str) -> Is {
        self.act(&script::renew(&claim(run, 60), &token(run))).is
    }

    fn release(&self, run: &str) -> Is {
        self.act(&script::release(&claim(run, 60), &token(run))).is
    }

    /// What the guard of a run ends with.
    fn guard(&self, run: &str) -> i32 {
        let directory = self.act(&script::show()).found.directory;
        let text = script::guard(&directory, run, &token(run), false);
        self.start(&text).wait().unwrap().code().unwrap()
    }

    /// A shell that does a run's work for so many seconds.
    fn work(&self, run: &str, seconds: &str) -> Child {
        let directory = self.act(&script::show()).found.directory;
        let guard = script::guard(&directory, run, &token(run), false);
        let child = self.start(&format!(
            "( {guard} ) || exit 9\n( sleep {seconds} ); read x"
        ));
        let pids = std::path::Path::new(&directory).join(format!("pids/{}", child.id()));
        for _ in 0..500 {
            if pids.exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(50));
        child
    }

    /// The entries, and whatever else lies there.
    fn files(&self) -> Vec<String> {
        let directory = self.act(&script::show()).found.directory;
        let mut names: Vec<String> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn token(run: &str) -> String {
    format!("token-of-{run}")
}

#[test]
fn one_has_it_until_it_is_given_back() {
    everywhere(|place| {
        assert_eq!(place.take("a", 60).is, Is::Taken);
        let refused = place.take("b", 60);
        assert_eq!(refused.is, Is::Held, "{:?}", place.shell);
        let found = refused.found;
        assert_eq!(
            (found.run.as_str(), found.by.as_str()),
            ("a", "a@my_machine")
        );
        assert_eq!(found.expires - found.taken, 60);
        assert!(
            found
                .to_string()
                .contains("locked by a@my_machine: run a, since "),
            "{found}"
        );
        assert_eq!((place.guard("a"), place.guard("b")), (0, script::NOT_OURS));
        assert_eq!(
            (place.renew("a"), place.renew("b")),
            (Is::Renewed, Is::Lost)
        );
        assert_eq!(place.release("b"), Is::Lost, "a stranger releases nothing");
        assert_eq!(place.guard("a"), 0);
        assert_eq!(place.release("a"), Is::Released);
        assert_eq!(place.release("a"), Is::Released, "it may be said again");
        assert_eq!(
            (place.guard("a"), place.renew("a")),
            (script::NOT_OURS, Is::Lost)
        );
        assert_eq!(place.take("b", 60).is, Is::Taken);
    });
}

#[test]
fn one_of_many_may_be_given_back_until_all_are_had() {
    everywhere(|place| {
        place.act(&script::take(&claim("a", 60), &token("a"), true));
        let found = place.take("b", 60).found;
        assert!(found.taking && found.state == LockState::Held);
        assert_eq!((place.guard("a"), place.guard("b")), (0, script::NOT_OURS));
        assert_eq!(place.renew("a"), Is::Renewed);
        assert!(!place.take("b", 60).found.taking, "{:?}", place.shell);
    });
}

#[test]
fn a_run_takes_its_own_lock_again() {
    everywhere(|place| {
        place.take("a", 60);
        let again = place.act(&script::take(&claim("a", 60), "another", true));
        assert_eq!(again.is, Is::Taken);
        assert_eq!(
            place.renew("a"),
            Is::Lost,
            "the process before it has it no more"
        );
        assert_eq!(place.guard("a"), script::NOT_OURS);
    });
}

#[test]
fn an_expired_lock_is_taken_over_unless_its_run_works() {
    everywhere(|place| {
        place.take("a", 1);
        let mut work = place.work("a", "3");
        std::thread::sleep(Duration::from_millis(1100));
        let refused = place.take("b", 60);
        assert_eq!(refused.is, Is::Busy, "{:?}", place.shell);
        let pid = work.id().to_string();
        assert_eq!(refused.found.busy, [("a".to_owned(), pid)]);
        assert_eq!(place.guard("a"), 0, "nobody else has it");
        std::thread::sleep(Duration::from_secs(2));
        // the shell lives, but does nothing
        assert!(work.try_wait().unwrap().is_none());
        let taken = place.take("b", 60);
        assert_eq!((taken.is, taken.found.run.as_str()), (Is::TakenOver, "a"));
        assert_eq!(
            (place.guard("a"), place.renew("a")),
            (script::NOT_OURS, Is::Lost)
        );
        assert_eq!(place.guard("b"), 0);
        work.kill().unwrap();
        work.wait().unwrap();
    });
}

#[test]
fn a_lock_that_was_given_back_is_not_had_while_work_goes_on() {
    everywhere(|place| {
        place.take("a", 60);
        let mut work = place.work("a", "30");
        assert_eq!(place.release("a"), Is::Released);
        assert_eq!(place.take("b", 60).is, Is::Busy);
        assert_eq!(place.act(&script::show()).found.busy.len(), 1);
        work.kill().unwrap();
        work.wait().unwrap();
        assert_eq!(place.take("b", 60).is, Is::Taken, "{:?}", place.shell);
    });
}

/// Free, then with a lock that expired at once.
#[test]
fn of_twenty_one_wins() {
    everywhere(|place| {
        for over in [false, true, true] {
            let run = format!("before-{over}");
            if over {
                let shown = place.act(&script::show()).found;
                place.act(&script::unlock(&shown.token, shown.at, true));
                place.take(&run, 0);
            }
            let takers: Vec<Child> = (0..20)
                .map(|n| {
                    let run = format!("r-{n}");
                    place.start(&script::take(&claim(&run, 60), &token(&run), false))
                })
                .collect();
            let answers: Vec<Answer> = takers
                .into_iter()
                .map(|taker| {
                    let out = taker.wait_with_output().unwrap();
                    answer::read(&String::from_utf8(out.stdout).unwrap()).unwrap()
                })
                .collect();
            let wins = |a: &&Answer| matches!(a.is, Is::Taken | Is::TakenOver);
            assert_eq!(
                answers.iter().filter(wins).count(),
                1,
                "{:?}: {answers:?}",
                place.shell
            );
        }
    });
}

#[test]
fn entries_do_not_pile_up() {
    everywhere(|place| {
        place.take("a", 60);
        for _ in 0..30 {
            assert_eq!(place.renew("a"), Is::Renewed);
        }
        let files = place.files();
        assert!(files.len() <= 17, "{files:?}");
        assert!(files.iter().all(|name| !name.starts_with('.')), "{files:?}");
    });
}

#[test]
fn a_torn_entry_is_not_free() {
    everywhere(|place| {
        place.take("a", 1);
        let directory = place.act(&script::show()).found.directory;
        for torn in [
            "",
            "w1 tok free 0 0 - 0 -",
            "w1 tok free 0 0 - 0 - .x\n",
            "w1 x y z\n",
        ] {
            let entry = std::path::Path::new(&directory).join("1000000009");
            std::fs::write(&entry, torn).unwrap();
            let found = place.take("b", 60);
            assert_eq!(
                (found.is, found.found.state),
                (Is::Torn, LockState::Torn),
                "{torn:?}"
            );
            assert_eq!(
                (place.renew("a"), place.guard("a")),
                (Is::Lost, script::NOT_OURS)
            );
        }
        let shown = place.act(&script::show()).found;
        let unlocked = place.act(&script::unlock(&shown.token, shown.at, false));
        assert_eq!(unlocked.is, Is::Released, "{:?}", place.shell);
        assert_eq!(place.take("b", 60).is, Is::Taken);
    });
}

#[test]
fn what_was_not_shown_is_not_unlocked() {
    everywhere(|place| {
        place.take("a", 60);
        let shown = place.act(&script::show()).found;
        place.renew("a");
        place.release("a");
        place.take("b", 60);
        let changed = place.act(&script::unlock(&shown.token, shown.at, false));
        assert_eq!((changed.is, changed.found.run.as_str()), (Is::Changed, "b"));
        let mut work = place.work("b", "30");
        let shown = place.act(&script::show()).found;
        let unlock = |force| place.act(&script::unlock(&shown.token, shown.at, force)).is;
        assert_eq!(unlock(false), Is::Busy, "{:?}", place.shell);
        assert_eq!(place.guard("b"), 0);
        assert_eq!(unlock(true), Is::Released);
        assert_eq!(place.guard("b"), script::NOT_OURS);
        assert_eq!(place.take("c", 60).is, Is::Taken);
        work.kill().unwrap();
        work.wait().unwrap();
    });
}

#[test]
fn what_takes_a_dead_run_back_has_its_lock_unless_it_works() {
    everywhere(|place| {
        place.take("a", 60);
        let mut work = place.work("a", "30");
        let mut claim = claim("b", 60);
        claim.after = RunId::new("a");
        let take = || place.act(&script::take(&claim, "b", false)).is;
        assert_eq!(take(), Is::Busy, "{:?}", place.shell);
        work.kill().unwrap();
        work.wait().unwrap();
        assert_eq!(take(), Is::Taken);
        assert_eq!(place.renew("a"), Is::Lost);
    });
}

#[test]
fn without_a_home_it_lies_elsewhere() {
    everywhere(|place| {
        let state = place.dir.path().join("a state's home");
        std::fs::write(&state, "a file").unwrap();
        let shown = place.act(&script::show()).found;
        let elsewhere = shown.directory.starts_with("/var/tmp/windlass-");
        assert!(elsewhere || shown.state == LockState::Free, "{shown:?}");
    });
}
