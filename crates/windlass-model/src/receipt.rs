//! Receipts: the durable trace of a change on the host that was changed.

mod undo;

use serde::{Deserialize, Serialize};

pub use undo::{Back, Undo, undo};

/// The `result` of a change that went well.
pub const SUCCEEDED: &str = "succeeded";

/// One change of a service on a host. Lies in `<install_location>/.windlass/receipts/<service>/` as one JSON file,
/// named so that names sort by time. A reader passes over keys that it does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The service.
    pub service: String,
    /// Seconds since 1970, UTC, by the clock of the machine that deployed.
    pub time: i64,
    /// Its place among the receipts of the service on the host, where `time` does not tell: two changes in one second, or
    /// two machines whose clocks differ. Absent when it is `time`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<i64>,
    /// The run or transaction.
    pub run: String,
    /// `user@machine` of whoever deployed.
    pub by: String,
    /// The version that the link pointed to before; absent at a first deploy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The version that was put there.
    pub to: String,
    /// `succeeded`, `failed` or `unknown`.
    pub result: String,
    /// What the run opened on this host and did not close: `drained web/app2`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owed: Vec<String>,
    /// The version that ran well before this change; absent where none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_good: Option<String>,
    /// Whether the service migrates: `to` may have changed what is stored.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub migrated: bool,
    /// The run that this change takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<String>,
}

impl Receipt {
    /// Whether the change went well.
    pub fn succeeded(&self) -> bool {
        self.result == SUCCEEDED
    }

    /// Sorts the receipts of a service on a host.
    pub fn place(&self) -> i64 {
        self.order.unwrap_or(self.time)
    }

    /// The name of its file.
    pub fn file_name(&self) -> String {
        format!("{:012}-{}.json", self.place(), self.run)
    }
}

/// A receipt that a job of a tasklist is to leave when it ends; stands in the tasklist's `plan`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptPlan {
    /// The job, `stage.task`.
    pub job: String,
    /// The service.
    pub service: String,
    /// The version that the job puts there.
    pub version: String,
    /// The version that was there when it was planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Where the host keeps its releases.
    pub install_location: String,
    /// Whether it is done even where the version already runs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redeploy: bool,
    /// Whether the service migrates.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub migrated: bool,
    /// The run that the job takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<String>,
    /// The run whose receipt must be the last one there, else the job fails before it does anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_after: Option<String>,
}
