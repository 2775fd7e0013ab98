//! A request for action: sent until it is answered, and watched when that is wanted.

use std::time::Duration;

use data_encoding::HEXLOWER;
use serde_json::{Map, Value};
use windlass_model::release::Status;
use windlass_wire::connection::WireError;
use windlass_wire::rest::{Client, Requested};

use super::{ManagerOptions, ending, unless_interrupted, watching};
use crate::cli::Common;
use crate::ending::Ending;
use crate::output::{print, print_json, say};

/// Pauses before it is sent again, in milliseconds.
const PAUSES: [u64; 3] = [300, 1000, 2000];

/// What is asked for, and how much of what comes of it is wanted.
pub(crate) struct Asking<'a> {
    /// The request's data.
    pub(crate) data: Map<String, Value>,
    /// Whether to watch it to its end.
    pub(crate) wait: bool,
    /// Whether to print JSON.
    pub(crate) json: bool,
    /// The manager.
    pub(crate) options: &'a ManagerOptions,
    /// Options of every verb.
    pub(crate) common: &'a Common,
}

impl Asking<'_> {
    /// Prints the transaction's id, and with `wait` its last status; ends as the transaction did.
    pub(crate) async fn ask(mut self) -> Result<(), Ending> {
        let client = self.options.client()?;
        self.data.insert("request_id".into(), request_id()?.into());
        let requested = unless_interrupted(sent(&client, &self.data)).await;
        if matches!(requested, Err(Ending::Interrupted)) {
            let again = self.options.again();
            say(&format!(
                "whether the request was taken is not known: `windlass history{again}` tells\n"
            ));
        }
        let requested = requested?;
        let id = &requested.transaction;
        if !self.json {
            print(&format!("{id}\n"))?;
        }
        if !self.wait {
            if self.json {
                print_json(&requested)?;
            }
            if requested.status != Status::Rejected {
                return Ok(());
            }
            let detail = client.transaction(id).await.map_err(ending)?;
            return watching::ended(&detail, self.options);
        }
        let watched = unless_interrupted(watching::watch(&client, id, self.common)).await;
        if let Err(Ending::Interrupted | Ending::Away(_)) = watched {
            go_on(id.as_str(), self.options);
        }
        let detail = watched?;
        match self.json {
            true => print_json(&detail)?,
            false => print(&format!("{}\n", detail.transaction.status.as_str()))?,
        }
        watching::ended(&detail, self.options)
    }
}

/// Says how to go on with a transaction that is not watched any more.
pub(crate) fn go_on(id: &str, options: &ManagerOptions) {
    let again = options.again();
    say(&format!(
        "{id} goes on: `windlass status {id} --wait{again}` watches it, `windlass cancel {id}{again}` takes it back\n"
    ));
}

/// Sends it; and again, since it has an id of its own, when it is not known whether it was taken.
async fn sent(client: &Client, data: &Map<String, Value>) -> Result<Requested, Ending> {
    let mut pauses = PAUSES.iter();
    loop {
        let error: WireError = match client.request(data).await {
            Ok(requested) => return Ok(requested),
            Err(error) => error,
        };
        match pauses.next() {
            Some(pause) if error.is_passing() => {
                tokio::time::sleep(Duration::from_millis(*pause)).await;
            }
            _ => return Err(ending(error)),
        }
    }
}

fn request_id() -> Result<String, Ending> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|e| Ending::own("no random numbers", e))?;
    Ok(HEXLOWER.encode(&bytes))
}
