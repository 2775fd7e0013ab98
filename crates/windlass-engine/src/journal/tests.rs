use super::*;

const PROCESS: Process = Process {
    pid: 7,
    started: Some(11),
};

fn event(times: u8) -> Event {
    Event {
        at: 1,
        what: What::Interrupted { times },
    }
}

/// A journal of two events.
fn written(state: &Path) -> RunId {
    let run = new_run_id(state).unwrap();
    let mut journal = Journal::create(state, &run, PROCESS).unwrap();
    journal.accept(&[event(1), event(2)]).unwrap();
    run
}

fn events(state: &Path, run: &RunId) -> Vec<Event> {
    Record::open(state, run).unwrap().events().collect()
}

#[test]
fn a_torn_tail_is_not_an_event() {
    let state = tempfile::tempdir().unwrap();
    let run = written(state.path());
    let whole = fs::read(path(state.path(), &run)).unwrap();
    fs::write(path(state.path(), &run), &whole[..whole.len() - 5]).unwrap();
    let record = Record::open(state.path(), &run).unwrap();
    assert_eq!((record.process, record.run.clone()), (PROCESS, run.clone()));
    assert_eq!(record.events().collect::<Vec<_>>(), vec![event(1)]);
    assert_eq!(runs(state.path()).unwrap(), vec![run]);
}

#[test]
fn wherever_it_is_torn_it_can_be_gone_on_with() {
    let state = tempfile::tempdir().unwrap();
    let run = written(state.path());
    let path = path(state.path(), &run);
    let whole = fs::read(&path).unwrap();
    let header = whole.iter().position(|b| *b == b'\n').unwrap() + 1;
    for cut in header..=whole.len() {
        for tail in [&b""[..], b"\0\0\0", b"\0\0\n\0\n"] {
            let torn = [&whole[..cut], tail].concat();
            fs::write(&path, torn).unwrap();
            let before = events(state.path(), &run);
            let mut journal = Journal::append_to(state.path(), &run).unwrap();
            journal.accept(&[event(9)]).unwrap();
            let after = events(state.path(), &run);
            assert_eq!(after, [before, vec![event(9)]].concat(), "cut at {cut}");
        }
    }
}

#[test]
fn damage_elsewhere_and_newer_events_are_left_alone() {
    let state = tempfile::tempdir().unwrap();
    let run = written(state.path());
    let path = path(state.path(), &run);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let damaged = format!("{}\nrubbish\n{}\n", lines[0], lines[2]);
    let newer = format!("{text}{{\"at\": 3, \"event\": \"of_tomorrow\"}}\n");
    for (text, wanted) in [
        (damaged, "line 2 is damaged"),
        (newer, "a newer one wrote it"),
    ] {
        fs::write(&path, &text).unwrap();
        let error = Journal::append_to(state.path(), &run).err().unwrap();
        assert!(error.to_string().contains(wanted), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn one_process_writes_a_journal() {
    let state = tempfile::tempdir().unwrap();
    let run = new_run_id(state.path()).unwrap();
    let journal = Journal::create(state.path(), &run, PROCESS).unwrap();
    assert!(is_being_written(state.path(), &run));
    let refused = Journal::append_to(state.path(), &run).err().unwrap();
    assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
    drop(journal);
    assert!(!is_being_written(state.path(), &run));
    Journal::append_to(state.path(), &run).unwrap();
}

#[test]
fn runs_sort_as_they_began_though_the_clock_is_set_back() {
    let state = tempfile::tempdir().unwrap();
    let tomorrow = RunId::new("99991231-235959-999fffff").unwrap();
    fs::create_dir_all(directory(state.path(), &tomorrow)).unwrap();
    let mut last = tomorrow;
    for _ in 0..3 {
        let next = new_run_id(state.path()).unwrap();
        assert!(next > last, "{next} {last}");
        fs::create_dir_all(directory(state.path(), &next)).unwrap();
        last = next;
    }
}

#[test]
fn a_fault_says_where() {
    let state = tempfile::tempdir().unwrap();
    fs::write(state.path().join("runs"), "a file").unwrap();
    let run = RunId::new("20261128-120000-12345678").unwrap();
    let error = Journal::create(state.path(), &run, PROCESS).err().unwrap();
    let place = directory(state.path(), &run).display().to_string();
    assert!(error.to_string().starts_with(&place), "{error}");
}
