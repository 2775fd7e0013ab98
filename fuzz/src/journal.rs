//! Journals: one that is cut off anywhere is read up to there, and what is appended to one after a crash is read after what
//! was.

use std::fs;
use std::path::Path;

use windlass_engine::events::Sink;
use windlass_engine::journal::{Journal, Record, directory};
use windlass_model::event::Event;
use windlass_model::ids::RunId;

/// See the module. The first two bytes say where the journal is cut off.
pub fn check(data: &[u8]) {
    let (Some(cut), Some(bytes)) = (data.first_chunk::<2>(), data.get(2..)) else {
        return;
    };
    let run = RunId::new("20261121-213500-0424f2a9").expect("a run's id");
    let state = crate::scratch();
    let directory = directory(state, &run);
    fs::create_dir_all(&directory).expect("a directory");
    let path = directory.join("journal.jsonl");
    fs::write(&path, bytes).expect("a journal");
    let Some(all) = read(state, &run) else {
        return;
    };
    appended(state, &run, &path, &all);

    fs::write(&path, bytes).expect("a journal");
    let length = bytes.len() as u64;
    let cut = u64::from(u16::from_le_bytes(*cut)) % (length + 1);
    let file = fs::OpenOptions::new().write(true).open(&path);
    file.and_then(|file| file.set_len(cut))
        .expect("a shorter journal");
    if let Some(part) = read(state, &run) {
        // a line that is no event may begin with one, and be cut off behind that
        let at = usize::try_from(cut).expect("a length");
        let ends = |byte: Option<&u8>| byte.is_none_or(|byte| *byte == b'\n');
        let is_torn = !ends(bytes.get(..at).and_then(<[u8]>::last)) && !ends(bytes.get(at));
        let sure = part.len().saturating_sub(usize::from(is_torn));
        assert_eq!(all.get(..sure), part.get(..sure));
        appended(state, &run, &path, &part);
    }
}

/// The events of a journal, as JSON.
fn read(state: &Path, run: &RunId) -> Option<Vec<String>> {
    let events = Record::open(state, run).ok()?.events();
    Some(
        events
            .map(|event| serde_json::to_string(&event).expect("JSON"))
            .collect(),
    )
}

/// What was there stays what is read, and an event more is read after it.
fn appended(state: &Path, run: &RunId, path: &Path, before: &[String]) {
    let bytes = fs::read(path).expect("a journal");
    let Ok(mut journal) = Journal::append_to(state, run) else {
        assert_eq!(
            fs::read(path).expect("a journal"),
            bytes,
            "it was refused, and changed"
        );
        return;
    };
    let event: Event = serde_json::from_str(EVENT).expect("an event");
    journal.accept(&[event]).expect("an event more");
    drop(journal);
    let after = read(state, run).expect("a journal");
    assert_eq!(after.len(), before.len() + 1, "{after:?}");
    assert_eq!(after.get(..before.len()), Some(before));
}

/// An event.
const EVENT: &str = include_str!("event.json");
