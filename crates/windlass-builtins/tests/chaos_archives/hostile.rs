//! Nothing of a hostile archive is found outside of the destination.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use windlass_model::outcome::Outcome;
use windlass_testkit::archives::guard::Listing;
use windlass_testkit::archives::hostile::{self, Hostile, Wants};
use windlass_testkit::chaos::{Trial, is_full};

use crate::machine::Machine;
use crate::{SHELLS, on_machines};

/// Where an archive is unpacked to, below the machine's directory.
const TO: &str = "site/to";

/// The machine's directory as it is before each: a victim outside, and perhaps something at the destination.
fn prepare(m: &Machine, exists: bool) {
    fs::remove_dir_all(m.dir()).unwrap();
    m.write("outside/victim", "victim");
    m.write("outside/d/own", "own");
    m.write("site/own", "own");
    if exists {
        m.write("site/to/own", "own");
        m.write("site/to/a/b/own", "own");
        m.write("site/to/d/own", "own");
        m.link("site/to/current", "a/b");
    }
}

/// Unpacks one. `outside` is where absolute names lead to. Gives whether it was taken.
fn try_one(m: &Machine, hostile: &Hostile, exists: bool, outside: &Path) -> Result<bool, String> {
    prepare(m, exists);
    let archive = format!("in/evil{}", hostile.ending);
    m.write(&archive, &hostile.bytes);
    let root = m.dir().parent().unwrap().to_owned();
    let destination = format!("work/{TO}");
    let look = || {
        let climbed = Path::new("/tmp/windlass-evil").symlink_metadata().is_ok();
        let all = [(root.as_path(), destination.as_str()), (outside, "")];
        (
            all.map(|(root, without)| Listing::of(root, &[without]).unwrap()),
            climbed,
        )
    };
    let inside = || Listing::of(&m.dir().join(TO), &[]).ok();
    let (before, inside_before) = (look(), inside());
    let args = json!({"source": m.at(&archive), "destination": m.at(TO)});
    let verdict = m.verdict("unpack", args);
    let after = look();
    if before != after {
        let differences = before
            .0
            .iter()
            .zip(&after.0)
            .flat_map(|(b, a)| b.differences(a));
        return Err(format!("outside: {:?}", differences.collect::<Vec<_>>()));
    }
    match verdict.outcome {
        Outcome::Failed(failure) if inside_before != inside() => {
            Err(format!("refused ({failure}), and yet something changed"))
        }
        Outcome::Failed(failure) if failure.message.is_empty() => {
            Err("refused without a reason".into())
        }
        Outcome::Failed(_) => Ok(false),
        Outcome::Changed if hostile.wants == Wants::Refused => Err("it was taken".into()),
        Outcome::Changed => links_stay(&m.dir().join(TO)).map(|()| true),
        other => Err(other.to_string()),
    }
}

/// No link leads out of a tree, wherever it is followed to.
fn links_stay(tree: &Path) -> Result<(), String> {
    let listing = Listing::of(tree, &[]).unwrap();
    let links: BTreeMap<&Path, PathBuf> = listing
        .things()
        .filter(|(_, thing)| thing.mode & 0o170_000 == 0o120_000)
        .map(|(path, thing)| {
            (
                path,
                PathBuf::from(String::from_utf8_lossy(&thing.contents).into_owned()),
            )
        })
        .collect();
    for (path, target) in links {
        let mut depth = path.components().count() as i64 - 1;
        for part in target.components() {
            depth += match part {
                std::path::Component::ParentDir => -1,
                std::path::Component::Normal(_) => 1,
                std::path::Component::RootDir => {
                    return Err(format!("{path:?} leads to {target:?}"));
                }
                _ => 0,
            };
            if depth < 0 {
                return Err(format!("{path:?} leads to {target:?}"));
            }
        }
        let led = tree.join(path).canonicalize();
        if led.is_ok_and(|led| !led.starts_with(tree.canonicalize().unwrap())) {
            return Err(format!("{path:?} leads out"));
        }
    }
    Ok(())
}

#[test]
fn archives_that_are_hostile_stay_inside() {
    let trial = Trial::begin("archives_hostile");
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("victim"), "victim").unwrap();
    let mut all = hostile::all(outside.path());
    assert!(all.len() >= 100, "{}", all.len());
    trial.case(0).shuffle(&mut all);
    // each with every shell and both ways, or once
    let ways = if is_full() {
        2 * SHELLS.len() as u64
    } else {
        1
    };
    let archives = trial.count(110, all.len() as u64).min(all.len() as u64);
    let way = |case: u64| match ways {
        1 => trial.case(case).below(2 * SHELLS.len() as u64),
        _ => case % ways,
    };
    let tried = on_machines(
        archives * ways,
        |case| (way(case) / 2) as usize,
        |m, case| {
            let hostile = &all[(case / ways) as usize];
            let exists = way(case) % 2 == 1;
            let tried = try_one(m, hostile, exists, outside.path());
            let shell = way(case) / 2;
            tried.map_err(|why| {
                format!("{} (existing {exists}, shell {shell}): {why}", hostile.what)
            })
        },
    );
    let wrong: Vec<&String> = tried.iter().filter_map(|one| one.as_ref().err()).collect();
    assert!(
        wrong.is_empty(),
        "{} of {}: {wrong:#?}",
        wrong.len(),
        tried.len()
    );
    let taken = tried.iter().filter(|one| matches!(one, Ok(true))).count();
    trial.report(format_args!(
        "{archives} hostile archives, unpacked {} times with four shells, with and without unzip: 0 bytes outside; {} refused, {taken} stayed inside",
        tried.len(),
        tried.len() - taken,
    ));
}
