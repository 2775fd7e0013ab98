//! Events as JSON lines on standard error.

use std::io::{self, Write};

use windlass_engine::events::Sink;
use windlass_model::event::Event;

/// Writes each event as one line.
pub(crate) struct JsonLines<W>(pub W);

impl<W: Write + Send> Sink for JsonLines<W> {
    fn accept(&mut self, events: &[Event]) -> io::Result<()> {
        let mut lines = Vec::new();
        for event in events {
            serde_json::to_writer(&mut lines, event)?;
            lines.push(b'\n');
        }
        self.0.write_all(&lines)?;
        self.0.flush()
    }
}
