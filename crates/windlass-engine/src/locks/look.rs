//! Looking at locks from outside a run, and unlocking what nobody will.

use futures_util::{StreamExt, stream};
use windlass_model::ids::HostName;

use super::answer::Is;
use super::{ANSWER, AT_ONCE, Found, Unasked, ask, script};
use crate::host::Hosts;

/// What came of unlocking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unlocked {
    /// It is free.
    Free,
    /// Work of a run goes on there.
    Busy(Found),
    /// Something else stands there than what was shown.
    Changed(Found),
}

/// What stands on hosts, in their order; an error is one line. Changes nothing.
pub async fn look(
    hosts: &dyn Hosts,
    user: Option<&str>,
    names: &[HostName],
) -> Vec<(HostName, Result<Found, String>)> {
    stream::iter(names.to_vec())
        .map(|host| async move {
            let user = user.filter(|_| !host.is_local());
            let answer = ask(hosts, &host, user, script::show(), ANSWER).await;
            let found = answer.map(|answer| answer.found).map_err(said);
            (host, found)
        })
        .buffered(AT_ONCE)
        .collect()
        .await
}

/// Unlocks a host, whoever locked it, provided that what `shown` says still stands there; where a run's work goes on
/// only by `force`. A run that lives finds out before it does anything more on the host.
///
/// # Errors
///
/// Why it could not be done: one line.
pub async fn unlock(
    hosts: &dyn Hosts,
    user: Option<&str>,
    host: &HostName,
    shown: &Found,
    force: bool,
) -> Result<Unlocked, String> {
    let user = user.filter(|_| !host.is_local());
    let text = script::unlock(&shown.token, shown.at, force);
    let answer = ask(hosts, host, user, text, ANSWER).await.map_err(said)?;
    Ok(match answer.is {
        Is::Released => Unlocked::Free,
        Is::Busy => Unlocked::Busy(answer.found),
        _ => Unlocked::Changed(answer.found),
    })
}

fn said(why: Unasked) -> String {
    match why {
        Unasked::Host(error) => error.message,
        Unasked::Refused(why) => why,
    }
}
