//! A plugin's command: it asks, its steps are done here.

use std::sync::Arc;

use async_trait::async_trait;
use windlass_model::outcome::{Failure, FailureKind};
use windlass_model::step::{Level, Reply, Step};

use super::JobRun;
use super::flight::Broken;
use super::talk::within;
use crate::command::{Hands, PluginCall};
use crate::host::HostError;

impl JobRun<'_> {
    pub(super) async fn call_plugin(&mut self, call: Arc<dyn PluginCall>) -> Result<(), Broken> {
        self.may_go_on()?;
        self.hold_front().await?;
        if let Some(front) = self.flights.front_mut() {
            let (index, attempt, first) = (front.index, front.attempt, !front.sent);
            front.sent = true;
            // Its steps are the plugin's, and nobody but this call could take up their replies.
            front.unkept = true;
            if first {
                // Whatever a plugin does, it may do without a step.
                self.about_to_send(index, attempt).await?;
            }
        }
        let (limit, interrupt) = self.bounds();
        let mut hands = JobHands {
            run: self,
            lost: None,
        };
        let done = within(limit, interrupt, call.call(&mut hands)).await;
        let lost = hands.lost.take();
        match done {
            Ok(Ok(reply)) if lost.is_none() || matches!(reply, Reply::Called { ok: true, .. }) => {
                self.replied(reply);
                Ok(())
            }
            Ok(done) => {
                self.kill_all().await;
                // Whatever the plugin makes of it: nobody knows how far its last step came.
                let failure = done.err().map(Broken::from);
                Err(lost
                    .map(Broken::Lost)
                    .or(failure)
                    .unwrap_or_else(|| Failure::new(FailureKind::Plugin, "it said no").into()))
            }
            Err(failure) => {
                self.kill_all().await;
                Err(failure.into())
            }
        }
    }
}

/// What a plugin's command does to the host of its task.
struct JobHands<'a, 'b> {
    run: &'a mut JobRun<'b>,
    /// The link that was lost under a step.
    lost: Option<HostError>,
}

#[async_trait]
impl Hands for JobHands<'_, '_> {
    async fn perform(&mut self, step: Step) -> Result<Reply, Failure> {
        match self.run.perform(vec![step], None).await {
            Ok(()) => {}
            Err(Broken::Failed(failure)) => return Err(failure),
            Err(Broken::Lost(error)) => {
                self.lost = Some(error.clone());
                return Err(error.into());
            }
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
