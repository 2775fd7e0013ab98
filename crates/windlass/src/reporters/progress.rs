//! Progress on a terminal: one line for the stage, its tasks, hosts and bytes, however many hosts there are.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::time::Duration;

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use windlass_engine::events::Sink;
use windlass_model::event::{Event, RunEnd, What};
use windlass_model::ids::TaskId;
use windlass_model::outcome::Outcome;

use super::log::Lines;

/// Hosts that are named; the rest are counted.
const NAMED: usize = 3;

/// Draws progress; log lines go above it through [`Progress::lines`].
pub(crate) struct Progress {
    bars: MultiProgress,
    stage: ProgressBar,
    /// Running tasks: host and command.
    running: BTreeMap<TaskId, String>,
    sent: HashMap<TaskId, (u64, u64)>,
    failed: usize,
    changed: usize,
    ended: usize,
    began: Option<i64>,
}

/// Writes log lines above the progress.
#[derive(Clone)]
pub(crate) struct AboveProgress(MultiProgress);

impl Lines for AboveProgress {
    fn write(&mut self, lines: &str) -> io::Result<()> {
        // A terminal that went away is no reason to stop.
        let _ = self
            .0
            .suspend(|| io::Write::write_all(&mut io::stderr(), lines.as_bytes()));
        Ok(())
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
        Self {
            bars,
            stage,
            running: BTreeMap::new(),
            sent: HashMap::new(),
            failed: 0,
            changed: 0,
            ended: 0,
            began: None,
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
        let (done, total) = self
            .sent
            .values()
            .fold((0, 0), |sum, sent| (sum.0 + sent.0, sum.1 + sent.1));
        if done < total {
            message.push_str(&format!(
                "; sent {} of {}",
                HumanBytes(done),
                HumanBytes(total)
            ));
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
            }
            What::TaskStarted { task, .. } => {
                self.running
                    .insert(task.id, format!("{} {}", task.host, task.command));
            }
            What::TaskFinished { task, outcome, .. } => {
                self.running.remove(&task.id);
                self.stage.inc(1);
                self.ended += 1;
                self.changed += usize::from(*outcome == Outcome::Changed);
                self.failed += usize::from(matches!(outcome, Outcome::Failed(_)));
            }
            What::Progress { task, done, total } => {
                self.sent.insert(task.id, (*done, *total));
            }
            What::RunStarted { .. } => self.began = Some(event.at),
            What::RunFinished { end, .. } => {
                self.stage.finish_and_clear();
                if *end == RunEnd::Succeeded {
                    let seconds = self.began.map_or(0.0, |at| (event.at - at) as f64 / 1e6);
                    let (ended, changed) = (self.ended, self.changed);
                    let line =
                        format!("Done: {ended} tasks, {changed} changed, in {seconds:.1} s\n");
                    // Whoever closed standard error does not want to know.
                    let _ = self.lines().write(&line);
                }
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
        self.bars.clear()
    }
}
