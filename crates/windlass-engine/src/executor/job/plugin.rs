//! A plugin's command: it asks, its steps are done here.

use std::sync::Arc;

use async_trait::async_trait;
use windlass_model::outcome::{Failure, FailureKind};
use windlass_model::step::{Level, Reply, Step};

use super::JobRun;
use super::flight::Broken;
use super::talk::{interrupted, out_of_time};
use crate::command::{Hands, PluginCall};

impl JobRun<'_> {
    pub(super) async fn call_plugin(&mut self, call: Arc<dyn PluginCall>) -> Result<(), Broken> {
        let limit = self.front_limit();
        let mut interrupt = self.shared.options.interrupt.clone();
        if let Some(front) = self.flights.front_mut() {
            front.sent = true;
        }
        let mut hands = JobHands { run: self };
        let done = tokio::select! {
            done = call.call(&mut hands) => done,
            failure = out_of_time(limit) => Err(failure),
            () = interrupt.reached(2) => Err(interrupted()),
        };
        match done {
            Ok(reply) => {
                self.replied(reply);
                Ok(())
            }
            Err(failure) => {
                for (_, mut talk) in self.talks.drain() {
                    talk.kill().await;
                }
                Err(failure.into())
            }
        }
    }
}

/// What a plugin's command does to the host of its task.
struct JobHands<'a, 'b> {
    run: &'a mut JobRun<'b>,
}

#[async_trait]
impl Hands for JobHands<'_, '_> {
    async fn perform(&mut self, step: Step) -> Result<Reply, Failure> {
        match self.run.perform(vec![step], None).await {
            Ok(()) => {}
            Err(Broken::Failed(failure)) => return Err(failure),
            Err(Broken::Lost(error)) => return Err(error.into()),
        }
        let reply = self.run.flights.front_mut().and_then(|f| f.seen.pop());
        reply
            .map(|seen| seen.reply)
            .ok_or_else(|| Failure::new(FailureKind::LinkLost, "no reply came"))
    }

    fn log(&mut self, level: Level, component: &str, message: &str) {
        let Some(task) = self
            .run
            .flights
            .front()
            .and_then(|f| self.run.task(f.index))
        else {
            return;
        };
        let events = &self.run.shared.options.events;
        events.log(
            level,
            component,
            Some(&task.host),
            task.tag.as_deref(),
            message,
        );
    }
}
