//! Progress on a terminal: one line for the stage, one for the bytes, however many hosts there are.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use windlass_engine::events::Sink;
use windlass_model::event::{Event, What};
use windlass_model::ids::TaskId;

use super::log::Lines;

/// Hosts that are named; the rest are counted.
const NAMED: usize = 3;

/// Draws progress; log lines go above it through [`Progress::lines`].
pub(crate) struct Progress {
    bars: MultiProgress,
    stage: ProgressBar,
    bytes: ProgressBar,
    /// Running tasks: host and command.
    running: BTreeMap<TaskId, String>,
    sent: HashMap<TaskId, (u64, u64)>,
    failed: usize,
}

/// Writes log lines above the progress.
#[derive(Clone)]
pub(crate) struct AboveProgress(MultiProgress);

impl Lines for AboveProgress {
    fn write(&mut self, lines: &str) -> io::Result<()> {
        self.0
            .suspend(|| io::Write::write_all(&mut io::stderr(), lines.as_bytes()))
    }
}

impl Progress {
    /// Draws on standard error, at most ten times a second.
    pub(crate) fn new() -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
        let stage = bars.add(ProgressBar::new(0));
        let style = |template: &str| ProgressStyle::with_template(template).ok();
        if let Some(style) = style("{spinner} {prefix} [{bar:24}] {pos}/{len} {wide_msg}") {
            stage.set_style(style.progress_chars("=> "));
        }
        let bytes = bars.add(ProgressBar::new(0));
        if let Some(style) = style("  sending {bytes}/{total_bytes} at {bytes_per_sec}") {
            bytes.set_style(style);
        }
        Self {
            bars,
            stage,
            bytes,
            running: BTreeMap::new(),
            sent: HashMap::new(),
            failed: 0,
        }
    }

    /// Where log lines go while progress is drawn.
    pub(crate) fn lines(&self) -> AboveProgress {
        AboveProgress(self.bars.clone())
    }

    fn message(&self) -> String {
        let named: Vec<&str> = self
            .running
            .values()
            .take(NAMED)
            .map(String::as_str)
            .collect();
        let more = self.running.len().saturating_sub(NAMED);
        let mut message = named.join(", ");
        if more > 0 {
            message.push_str(&format!(" and {more} more"));
        }
        if self.failed > 0 {
            message.push_str(&format!("; {} failed", self.failed));
        }
        message
    }

    fn event(&mut self, event: &Event) {
        match &event.what {
            What::StageStarted { name, tasks, .. } => {
                self.stage.enable_steady_tick(Duration::from_millis(250));
                self.stage.set_length(*tasks as u64);
                self.stage.set_position(0);
                self.stage.set_prefix(name.clone());
                self.sent.clear();
                self.bytes.reset();
            }
            What::TaskStarted { task, .. } => {
                self.running
                    .insert(task.id, format!("{} {}", task.host, task.command));
            }
            What::TaskFinished { task, outcome, .. } => {
                self.running.remove(&task.id);
                self.stage.inc(1);
                self.failed += usize::from(matches!(outcome, windlass_model::Outcome::Failed(_)));
            }
            What::Progress { task, done, total } => {
                self.sent.insert(task.id, (*done, *total));
                self.bytes
                    .set_length(self.sent.values().map(|(_, total)| total).sum());
                self.bytes
                    .set_position(self.sent.values().map(|(done, _)| done).sum());
            }
            What::RunFinished { .. } => {
                self.stage.finish_and_clear();
                self.bytes.finish_and_clear();
            }
            _ => {}
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Sink for Progress {
    fn accept(&mut self, events: &[Event]) -> io::Result<()> {
        for event in events {
            self.event(event);
        }
        self.stage.set_message(self.message());
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.stage.finish_and_clear();
        self.bytes.finish_and_clear();
        self.bars.clear()
    }
}
