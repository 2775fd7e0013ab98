//! The last job of a host has it forget what it kept, when all went well: in its own conversation, which saves a shell there.

use std::time::Duration;

use super::JobRun;

/// How long that may take: what is left is removed by a later run.
const FORGET: Duration = Duration::from_secs(20);

impl JobRun<'_> {
    /// Notes that all of the job went well. What no job of the run will ask for is removed, once the journal has the ends of the
    /// tasks on the disk.
    pub(super) async fn forget(&mut self) {
        let shared = self.shared;
        let done = shared.kept.succeeded(self.job);
        let mut is_recorded = false;
        for ((host, user), talk) in &mut self.talks {
            if !done.contains(host) {
                continue;
            }
            for keep in shared.kept.take_from(host, user.as_deref()) {
                if !is_recorded {
                    if !shared.options.events.barrier().await {
                        return;
                    }
                    is_recorded = true;
                }
                // that a host cannot is no fault of the run
                let _ = tokio::time::timeout(FORGET, talk.forget(&keep)).await;
            }
        }
    }
}
