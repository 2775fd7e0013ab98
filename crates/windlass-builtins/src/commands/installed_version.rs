//! `installed_version`: what is installed, by the receipts of the host.

use schemars::JsonSchema;
use serde::Deserialize;
use windlass_engine::command::{
    Command, CommandKind, Facts, InitContext, Repeat, Seen, Turn, Verdict,
};
use windlass_engine::executor::{Standing, probe_script, read_probe, write_script};
use windlass_model::diagnostic::Diagnostics;
use windlass_model::outcome::Outcome;
use windlass_model::receipt::Receipt;
use windlass_model::step::{Reply, Step};

use super::args::AbsolutePath;
use super::scripted::{as_user, failure_of};

/// See [`Args`].
pub(super) struct InstalledVersion;

/// Arguments of `installed_version`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Args {
    /// The directory that holds what is installed, and its receipts in `.windlass/receipts`.
    install_location: AbsolutePath,
    /// The name that its receipts lie under.
    service: String,
    /// Whether the version is forgotten first, by a receipt that says so: the next install is done whatever is there.
    #[serde(default)]
    reset: bool,
}

impl CommandKind for InstalledVersion {
    type Args = Args;

    fn name(&self) -> &'static str {
        "installed_version"
    }

    fn about(&self) -> &'static str {
        "Gives the version that is installed, by the receipts beside it, as the task's output; empty where none is known."
    }

    fn initialize(
        &self,
        args: Args,
        cx: &InitContext<'_>,
    ) -> Result<Box<dyn Command>, Diagnostics> {
        let name = &args.service;
        if name.is_empty() || name.starts_with('.') || name.contains('/') || name.contains('\n') {
            let why = format!("{name:?} is no name that receipts lie under");
            return Err(cx.wrong("service", why).into());
        }
        Ok(Box::new(Installed(args)))
    }
}

struct Installed(Args);

impl Installed {
    fn probe(&self) -> Step {
        probe_script([(self.0.install_location.as_str(), self.0.service.as_str())]).into()
    }

    /// A receipt after the last one, of no version.
    fn forgetting(&self, facts: &Facts, standing: &Standing) -> Option<Step> {
        let last = standing.receipt.as_ref();
        let after = last.map(|last| last.place() + 1);
        let receipt = Receipt {
            service: self.0.service.clone(),
            time: facts.now,
            order: after.filter(|after| *after > facts.now),
            run: facts.run.to_string(),
            from: last.map(|last| last.to.clone()),
            result: "unknown".into(),
            previous_good: standing.good(&self.0.service).map(str::to_owned),
            ..Receipt::default()
        };
        write_script(self.0.install_location.as_str(), &receipt).map(Step::from)
    }
}

/// What stands there: the link's version, if there is a link; else what the last receipt says. A change that failed left what
/// was good before.
fn version_of<'s>(standing: &'s Standing, service: &str) -> Option<&'s str> {
    let unknown = standing
        .receipt
        .as_ref()
        .is_some_and(|r| r.result == "unknown");
    if unknown {
        return None;
    }
    match standing.link {
        Some(_) => standing.linked(service),
        None => standing.good(service),
    }
}

impl Command for Installed {
    fn turn(&self, facts: &Facts, seen: &[Seen]) -> Turn {
        let steps = |step: Step| as_user(&[step], &facts.user);
        let Some(first) = seen.first() else {
            return Turn::Do(steps(self.probe()));
        };
        let Reply::Ran {
            status: 0, stdout, ..
        } = &first.reply
        else {
            return Outcome::from(failure_of(&first.reply, "cannot read the receipts")).into();
        };
        let standing = read_probe(stdout)
            .remove(&self.0.service)
            .unwrap_or_default();
        let version = match (self.0.reset, seen.get(1)) {
            (false, _) => version_of(&standing, &self.0.service),
            (true, None) => {
                return match self.forgetting(facts, &standing) {
                    Some(step) => Turn::Do(steps(step)),
                    None => Outcome::failed("the receipt cannot be written").into(),
                };
            }
            (true, Some(last)) => match &last.reply {
                Reply::Ran { status: 0, .. } => None,
                reply => {
                    return Outcome::from(failure_of(reply, "cannot leave a receipt")).into();
                }
            },
        };
        Turn::End(Verdict {
            outcome: match self.0.reset {
                true => Outcome::Changed,
                false => Outcome::Unchanged,
            },
            output: Some(version.unwrap_or_default().to_owned()),
        })
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(link: Option<&str>, to: &str, result: &str) -> Standing {
        Standing {
            link: link.map(str::to_owned),
            receipt: Some(Receipt {
                to: to.into(),
                result: result.into(),
                previous_good: Some("0.9".into()),
                ..Receipt::default()
            }),
        }
    }

    #[test]
    fn receipts_tell_the_version() {
        let version = |s: Standing| version_of(&s, "shop").map(str::to_owned);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(version(Standing::default()), None);
        assert_eq!(version(standing(None, "1.0", "succeeded")), some("1.0"));
        assert_eq!(version(standing(None, "1.0", "failed")), some("0.9"));
        assert_eq!(version(standing(None, "", "unknown")), None);
        let linked = standing(Some("shop_0.8"), "1.0", "failed");
        assert_eq!(version(linked), some("0.8"), "the link is what is used");
    }
}
