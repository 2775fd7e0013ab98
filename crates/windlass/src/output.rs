//! Data goes to standard output, the rest to standard error. The only place that writes to either.

use std::io::{self, Write};

use crate::ending::Ending;

/// Prints data. A reader that went away (`windlass ... | head`) is no fault.
pub(crate) fn print(text: &str) -> Result<(), Ending> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done.map_err(|e| Ending::own("standard output", e)),
    }
}

/// Prints a value as JSON, for `--json`.
pub(crate) fn print_json(value: &impl serde::Serialize) -> Result<(), Ending> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Ending::own("JSON", e))?;
    print(&format!("{text}\n"))
}

/// Says something to a person. Nobody hears it when standard error is closed.
pub(crate) fn say(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}
