//! What taking a run back means for a service on a host, by the receipts there.

use super::Receipt;

/// What taking a run back means for a service on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undo<'a> {
    /// The run left nothing there.
    Untouched,
    /// It is taken back already, by this change.
    Done(&'a Receipt),
    /// Somebody has changed the service since, by this change.
    ChangedSince(&'a Receipt),
    /// Nothing ran well there before.
    NothingBefore,
    /// The release that was there before the run is the one that the run put there.
    SameRelease,
    /// It goes back.
    Back(Back<'a>),
}

/// The way back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Back<'a> {
    /// The version that ran well before the run.
    pub to: &'a str,
    /// What the run came to there.
    pub result: &'a str,
    /// Every version that the run found or left there: what the link may point to.
    pub touched: Vec<&'a str>,
    /// Versions put there since `to` did run that may have migrated, each once.
    pub migrated: Vec<&'a str>,
}

/// What taking back `run` means, by all receipts of a service on a host, the oldest first.
///
/// A change that was taken back, and the change that did so, count as if they had never been: after the rollback of a
/// newer run an older one can be taken back in its turn. A rollback that did not succeed is part of the run that it was
/// to take back, so it can be tried again.
pub fn undo<'a>(receipts: &'a [Receipt], run: &str) -> Undo<'a> {
    let is_of_run = |r: &Receipt| r.run == run || r.undoes.as_deref() == Some(run);
    if !receipts.iter().any(|r| r.run == run) {
        return Undo::Untouched;
    }
    // A rollback that is itself taken back is a change as any other.
    let is_last_rollback = receipts
        .last()
        .is_some_and(|last| last.run == run && last.undoes.is_some());
    let standing = match is_last_rollback {
        true => receipts.iter().enumerate().collect(),
        false => standing(receipts),
    };
    let Some((_, last)) = standing.last().copied() else {
        return match receipts.last() {
            Some(last) => Undo::Done(last),
            None => Undo::Untouched,
        };
    };
    if !is_of_run(last) {
        let undone = receipts
            .iter()
            .rfind(|r| r.undoes.as_deref() == Some(run) && r.succeeded());
        let still_stands = standing.iter().any(|(_, r)| r.run == run);
        return match undone {
            Some(by) if !still_stands => Undo::Done(by),
            _ => Undo::ChangedSince(last),
        };
    }
    let of_run = standing
        .iter()
        .rev()
        .take_while(|(_, r)| is_of_run(r))
        .count();
    let (before, of_run) = standing.split_at(standing.len() - of_run);
    let good = before.iter().rev().find(|(_, r)| r.succeeded());
    let (since, to) = match (good, of_run.first()) {
        (Some((index, good)), _) => (index + 1, good.to.as_str()),
        (None, Some((_, first))) => match &first.previous_good {
            Some(good) => (0, good.as_str()),
            None => return Undo::NothingBefore,
        },
        (None, None) => return Undo::Untouched,
    };
    if of_run.iter().all(|(_, r)| r.to == to) {
        return Undo::SameRelease;
    }
    let mut touched = vec![last.to.as_str()];
    if !last.succeeded() {
        let versions = of_run
            .iter()
            .flat_map(|(_, r)| r.from.iter().chain([&r.to]));
        touched.extend(versions.map(String::as_str));
        touched.sort_unstable();
        touched.dedup();
    }
    let mut migrated = Vec::new();
    for receipt in receipts.iter().skip(since) {
        let version = receipt.to.as_str();
        if receipt.migrated && version != to && !migrated.contains(&version) {
            migrated.push(version);
        }
    }
    Undo::Back(Back {
        to,
        result: &last.result,
        touched,
        migrated,
    })
}

/// The receipts that still stand, with their numbers: those that were taken back are gone, and so are those that took
/// them back.
fn standing(receipts: &[Receipt]) -> Vec<(usize, &Receipt)> {
    let mut stack: Vec<(usize, &Receipt)> = Vec::new();
    for (index, receipt) in receipts.iter().enumerate() {
        let undone = receipt.undoes.as_deref().filter(|_| receipt.succeeded());
        let before = stack.len();
        while let (Some(run), Some((_, last))) = (undone, stack.last()) {
            if last.run != run && last.undoes.as_deref() != Some(run) {
                break;
            }
            stack.pop();
        }
        // What it took back may be further back than the receipts that were read.
        if stack.len() == before {
            stack.push((index, receipt));
        }
    }
    stack
}

#[cfg(test)]
mod tests {
    use super::super::SUCCEEDED;
    use super::*;

    /// `"A 2 ok"`, `"R 1 ok A"` (takes back A), `"A 2 failed m"` (migrated).
    fn receipts(lines: &[&str]) -> Vec<Receipt> {
        let mut from = None;
        let receipt = |line: &&str| {
            let words: Vec<&str> = line.split(' ').collect();
            let receipt = Receipt {
                service: "shop".into(),
                run: words[0].into(),
                from: from.clone(),
                to: words[1].into(),
                result: words[2].replace("ok", SUCCEEDED),
                migrated: words.get(3) == Some(&"m"),
                undoes: words
                    .get(3)
                    .filter(|w| **w != "m")
                    .map(|run| (*run).to_owned()),
                ..Receipt::default()
            };
            from = Some(receipt.to.clone());
            receipt
        };
        lines.iter().map(receipt).collect()
    }

    fn said(lines: &[&str], run: &str) -> String {
        match undo(&receipts(lines), run) {
            Undo::Back(back) => format!("to {} {:?} {:?}", back.to, back.touched, back.migrated),
            Undo::ChangedSince(by) => format!("changed since by {}", by.run),
            Undo::Done(by) => format!("done by {}", by.run),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_run_goes_back_to_what_ran_well() {
        for (lines, run, wanted) in [
            (&["A 1 ok"][..], "B", "Untouched"),
            (&["A 1 ok"], "A", "NothingBefore"),
            (&["A 1 ok", "B 2 ok"], "B", r#"to 1 ["2"] []"#),
            (&["A 1 ok", "B 2 failed"], "B", r#"to 1 ["1", "2"] []"#),
            (
                &["A 1 ok", "B 2 failed", "C 3 unknown"],
                "C",
                r#"to 1 ["2", "3"] []"#,
            ),
            (&["A 1 ok", "B 2 failed", "B 2 ok"], "B", r#"to 1 ["2"] []"#),
            (&["A 1 ok", "B 1 failed"], "B", "SameRelease"),
            (&["A 1 ok", "B 2 ok", "C 3 ok"], "B", "changed since by C"),
            (
                &["A 1 ok m", "B 2 ok m", "C 3 failed m"],
                "C",
                r#"to 2 ["2", "3"] ["3"]"#,
            ),
            (
                &["A 1 ok", "B 2 failed m", "C 3 ok"],
                "C",
                r#"to 1 ["3"] ["2"]"#,
            ),
        ] {
            assert_eq!(said(lines, run), wanted, "{lines:?} {run}");
        }
    }

    #[test]
    fn what_was_taken_back_counts_no_more() {
        let history = ["A 1 ok", "B 2 ok", "C 3 ok m", "R 2 ok C"];
        assert_eq!(said(&history, "C"), "done by R");
        assert_eq!(
            said(&history, "B"),
            r#"to 1 ["2"] ["3"]"#,
            "it migrated all the same"
        );
        assert_eq!(
            said(&history, "R"),
            r#"to 3 ["2"] []"#,
            "a rollback is taken back"
        );
        let failed = ["A 1 ok", "B 2 ok", "R 1 failed B"];
        assert_eq!(
            said(&failed, "B"),
            r#"to 1 ["1", "2"] []"#,
            "it can be tried again"
        );
        let again = ["A 1 ok", "B 2 ok", "R 1 failed B", "S 1 ok B"];
        assert_eq!(said(&again, "B"), "done by S");
        assert_eq!(said(&again, "A"), "NothingBefore");
        let newer = ["A 1 ok", "B 2 ok", "R 1 ok B", "C 4 ok"];
        assert_eq!(said(&newer, "B"), "done by R");
        assert_eq!(said(&newer, "C"), r#"to 1 ["4"] []"#);
    }

    #[test]
    fn before_the_first_receipt_the_link_tells() {
        let mut receipts = receipts(&["B 2 ok"]);
        receipts[0].previous_good = Some("1".into());
        assert!(matches!(undo(&receipts, "B"), Undo::Back(back) if back.to == "1"));
    }

    #[test]
    fn unknown_keys_are_passed_over() {
        let text = r#"{"service":"s","time":1,"run":"r","by":"b","to":"1","result":"succeeded","mood":"fine"}"#;
        let receipt: Receipt = serde_json::from_str(text).unwrap();
        assert_eq!((receipt.place(), receipt.migrated), (1, false));
    }
}
