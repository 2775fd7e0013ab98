//! Data goes to standard output, the rest to standard error. The only place that writes to either.

use std::io::{self, BufWriter, Write};

use crate::ending::Ending;

/// Prints data. A reader that went away (`windlass ... | head`) is no fault.
pub(crate) fn print(text: &str) -> Result<(), Ending> {
    print_by(|out| out.write_all(text.as_bytes()))
}

/// Prints data as it is made.
pub(crate) fn print_by(
    make: impl FnOnce(&mut BufWriter<io::StdoutLock<'_>>) -> io::Result<()>,
) -> Result<(), Ending> {
    let mut out = BufWriter::with_capacity(64 << 10, io::stdout().lock());
    match make(&mut out).and_then(|()| out.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::InvalidData => Err(Ending::own("what is printed", e)),
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
