//! Tasklists: one that is taken is written so that it is read again as the same; what is wrong with one can be told.

use windlass_model::diagnostic::Source;
use windlass_model::tasklist::{Tasklist, read, write};

/// See the module.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match read(&Source::new("tasklist.json", text)) {
        Err(faults) => assert!(!faults.to_string().is_empty()),
        Ok(tasklist) => {
            let written = text_of(&tasklist);
            let again = read(&Source::new("again.json", written.as_str()))
                .unwrap_or_else(|faults| panic!("{faults}\n{written}"));
            assert_eq!(text_of(&again), written);
        }
    }
}

fn text_of(tasklist: &Tasklist) -> String {
    let mut bytes = Vec::new();
    write(tasklist, &mut bytes).expect("a tasklist that was read");
    String::from_utf8(bytes).expect("UTF-8")
}
