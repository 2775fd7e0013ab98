//! What `unpack` takes it unpacks as GNU tar does; the rest it refuses.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::json;
use windlass_model::outcome::Outcome;
use windlass_testkit::archives::generated;
use windlass_testkit::archives::guard::Listing;
use windlass_testkit::chaos::Trial;

use crate::machine::Machine;
use crate::{BUSYBOX, on_machines};

/// What GNU tar leaves, and what it says if it does not like it.
fn reference(m: &Machine, tar: &[u8]) -> (Listing, Option<String>) {
    let to = m.dir().join("reference");
    fs::create_dir_all(&to).unwrap();
    let mut child = Command::new("tar")
        .args(["-xof", "-", "-C"])
        .arg(&to)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have enough before it has all.
    let _ = child.stdin.take().unwrap().write_all(tar);
    let out = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    let left = Listing::of(&to, &[]).unwrap().plain();
    (left, (!out.status.success()).then_some(said))
}

/// What came of one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Came {
    /// Refused.
    Refused,
    /// Taken.
    Taken,
    /// Taken; GNU tar complains of the archive, and leaves the same.
    Bettered,
}

fn try_one(m: &Machine, tar: &[u8]) -> Result<Came, String> {
    fs::remove_dir_all(m.dir()).unwrap();
    m.write("outside/victim", "victim");
    m.write("in.tar", tar);
    let (wanted, complaint) = reference(m, tar);
    let look = || Listing::of(m.dir().parent().unwrap(), &["work/to", "work/reference"]).unwrap();
    let before = look();
    let args = json!({"source": m.at("in.tar"), "destination": m.at("to")});
    let verdict = m.verdict("unpack", args);
    let outside = before.differences(&look());
    if !outside.is_empty() {
        return Err(format!("outside: {outside:?}"));
    }
    match verdict.outcome {
        Outcome::Failed(_) if m.has("to") => return Err("refused, and yet it is there".into()),
        Outcome::Failed(_) => return Ok(Came::Refused),
        Outcome::Changed => {}
        other => return Err(other.to_string()),
    }
    let found = Listing::of(&m.dir().join("to"), &[]).unwrap().plain();
    let differences = wanted.differences(&found);
    match complaint {
        _ if !differences.is_empty() => Err(format!("not as GNU tar: {differences:#?}")),
        None => Ok(Came::Taken),
        Some(_) if m.is_busybox() => Ok(Came::Bettered),
        Some(said) => Err(format!("taken, and GNU tar fails: {said}")),
    }
}

#[test]
fn archives_that_are_taken_are_as_gnu_tar_unpacks_them() {
    let trial = Trial::begin("archives_generated");
    let count = trial.count(160, 10_000);
    let busybox = |case: u64| case % 4 == 3;
    let tried = on_machines(
        count,
        |case| if busybox(case) { BUSYBOX } else { 0 },
        |m, case| {
            let tar = generated::tar(&mut trial.case(case));
            (
                busybox(case),
                try_one(m, &tar)
                    .map_err(|why| format!("case {case}, busybox {}: {why}", busybox(case))),
            )
        },
    );
    let wrong: Vec<&String> = tried
        .iter()
        .filter_map(|(_, one)| one.as_ref().err())
        .collect();
    assert!(wrong.is_empty(), "{} of {count}: {wrong:#?}", wrong.len());
    // else it would prove nothing
    let taken = tried.iter().filter(|(_, one)| *one == Ok(Came::Taken));
    let taken = taken.count();
    assert!(taken * 12 > tried.len(), "{taken} taken");
    for is_busybox in [false, true] {
        let count = |came: Came| {
            let all = tried.iter().filter(|(busybox, _)| *busybox == is_busybox);
            all.filter(|(_, one)| *one == Ok(came)).count()
        };
        let (taken, bettered) = (count(Came::Taken), count(Came::Bettered));
        let refused = count(Came::Refused);
        let with = if is_busybox { "busybox" } else { "GNU" };
        trial.report(format_args!(
            "with {with} tar: {taken} generated archives taken, all as GNU tar unpacks them; {refused} refused; \
             {bettered} of which GNU tar complains, and leaves the same",
        ));
    }
}
