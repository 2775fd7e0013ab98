//! Receipts: the durable trace of a change on the host that was changed.

use serde::{Deserialize, Serialize};

/// One change of a service on a host. Lies in `<install_location>/.windlass/receipts/<service>/` as one JSON file,
/// named so that names sort by time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The service.
    pub service: String,
    /// Seconds since 1970, UTC, by the clock of the machine that deployed.
    pub time: i64,
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
}

/// A receipt that a job of a tasklist is to leave when it ends; stands in the tasklist's `plan`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
}
