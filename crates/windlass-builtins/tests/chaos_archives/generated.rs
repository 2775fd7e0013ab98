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

/// What GNU tar makes of it, or says.
fn reference(m: &Machine, tar: &[u8]) -> Result<Listing, String> {
    let to = m.dir().join("reference");
    fs::create_dir_all(&to).unwrap();
    let mut child = Command::new("tar")
        .args(["-xvof", "-", "-C"])
        .arg(&to)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // It may have enough before it has all.
    let _ = child.stdin.take().unwrap().write_all(tar);
    let status = child.wait().unwrap();
    status
        .success()
        .then(|| Listing::of(&to, &[]).unwrap().plain())
}

/// Whether it was taken.
fn try_one(m: &Machine, tar: &[u8]) -> Result<bool, String> {
    fs::remove_dir_all(m.dir()).unwrap();
    m.write("outside/victim", "victim");
    m.write("in.tar", tar);
    let wanted = reference(m, tar);
    let look = || Listing::of(m.dir().parent().unwrap(), &["work/to", "work/reference"]).unwrap();
    let before = look();
    let verdict = m.verdict(
        "unpack",
        json!({"source": m.at("in.tar"), "destination": m.at("to")}),
    );
    let outside = before.differences(&look());
    if !outside.is_empty() {
        return Err(format!("outside: {outside:?}"));
    }
    match (verdict.outcome, wanted) {
        (Outcome::Failed(_), _) if m.has("to") => Err("refused, and yet something is there".into()),
        (Outcome::Failed(_), _) => Ok(false),
        (Outcome::Changed, Err(said)) => Err(format!("taken, and GNU tar fails: {said}")),
        (Outcome::Changed, Ok(wanted)) => {
            let differences =
                wanted.differences(&Listing::of(&m.dir().join("to"), &[]).unwrap().plain());
            match differences.is_empty() {
                true => Ok(true),
                false => Err(format!("not as GNU tar: {differences:#?}")),
            }
        }
        (other, _) => Err(other.to_string()),
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
    for is_busybox in [false, true] {
        let all = tried.iter().filter(|(busybox, _)| *busybox == is_busybox);
        let (taken, refused): (Vec<_>, Vec<_>) = all.partition(|(_, one)| matches!(one, Ok(true)));
        // else it would prove nothing
        assert!(
            taken.len() * 5 > refused.len(),
            "{} taken, {} refused",
            taken.len(),
            refused.len()
        );
        let with = if is_busybox { "busybox tar" } else { "GNU tar" };
        trial.report(format_args!(
            "with {with}: {} generated archives taken, all as GNU tar unpacks them; {} refused",
            taken.len(),
            refused.len()
        ));
    }
}
