//! The program: its verbs, and what somebody who builds a binary of their own may add.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use windlass_engine::registry::Registry;

use crate::cli::{Cli, Common, Verb};
use crate::ending::Ending;
use crate::session;
use crate::surroundings::Surroundings;

/// Adds commands and generators to the built-in ones.
pub type Extend = fn(&mut Registry);

/// What every verb works with.
#[derive(Clone)]
pub(crate) struct Program {
    /// The machine.
    pub(crate) surroundings: Surroundings,
    /// Options of every verb.
    pub(crate) common: Common,
    extend: Extend,
}

impl Program {
    /// Commands and generators: built in, then those of the binary's builder.
    pub(crate) fn registry(&self) -> Registry {
        let mut registry = Registry::new();
        windlass_builtins::commands::register(&mut registry);
        windlass_builtins::generators::register(&mut registry);
        windlass_builtins::behaviours::register(&mut registry);
        (self.extend)(&mut registry);
        registry
    }

    /// Where runs are recorded.
    pub(crate) fn state_dir(&self) -> PathBuf {
        session::state_dir(&self.common, &self.surroundings)
    }
}

/// Runs the program with the process's arguments. `extend` adds to what is built in; a name that is built in already is
/// replaced.
pub fn main(extend: Extend) -> ExitCode {
    let cli = Cli::parse_from(with_seed_names(std::env::args_os().collect()));
    let ended = Surroundings::read()
        .map_err(|e| Ending::own("the surroundings cannot be read", e))
        .and_then(|surroundings| {
            let program = Program {
                surroundings,
                common: cli.common,
                extend,
            };
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()
                .map_err(|e| Ending::own("no threads", e))?;
            let ended = runtime.block_on(verb(&program, cli.verb));
            // Whatever a killed run left behind must not keep the process.
            runtime.shutdown_timeout(std::time::Duration::from_millis(200));
            ended
        });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(ending) => {
            crate::output::say(&ending.to_string());
            ending.code()
        }
    }
}

async fn verb(program: &Program, verb: Verb) -> Result<(), Ending> {
    match verb {
        Verb::Init(verb) => verb.run(),
        Verb::Deploy(verb) => verb.run(program).await,
        Verb::Plan(verb) => verb.run(program).await,
        Verb::Runs(verb) => verb.run(program),
        Verb::Where(verb) => verb.run(program).await,
        Verb::Rollback(verb) => verb.run(program).await,
        Verb::Service(verb) => verb.run(program).await,
        Verb::Run(verb) => verb.run(program).await,
        Verb::Hosts(verb) => verb.run(program).await,
        Verb::Commands(verb) => verb.run(program),
        Verb::Generators(verb) => verb.run(program),
        Verb::Generate(verb) => verb.run(program),
        Verb::Serve(verb) => verb.run(program).await,
        Verb::Request(verb) => verb.run(program).await,
        Verb::Status(verb) => verb.run(program).await,
        Verb::History(verb) => verb.run().await,
        Verb::Settle(verb) => verb.run().await,
        Verb::Cancel(verb) => verb.run().await,
        Verb::Projects(verb) => verb.run().await,
        Verb::Environments(verb) => verb.run().await,
        Verb::Releases(verb) => verb.run().await,
        Verb::Release(verb) => verb.run(program).await,
        Verb::Agents(verb) => verb.run().await,
        Verb::Versions(verb) => verb.run(program).await,
        Verb::Schema(verb) => verb.run(program),
        Verb::Quickstart(verb) => verb.run(program).await,
        Verb::Python(verb) => verb.run(program),
        Verb::Completions(verb) => verb.run(),
        Verb::Man(verb) => verb.run(),
    }
}

/// The seed's names: a binary that is called `deploy.py` deploys.
fn with_seed_names(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let called = arguments
        .first()
        .map(Path::new)
        .and_then(Path::file_name)
        .map(|name| name.to_string_lossy().into_owned());
    let verb = match called.as_deref() {
        Some("deploy" | "deploy.py") => "deploy",
        Some("build_tasklist" | "build_tasklist.py") => "plan",
        Some("relman_ctl" | "relman_ctl.py") => return with_seed_form(arguments),
        _ => return arguments,
    };
    arguments.insert(1, verb.into());
    arguments
}

/// `relman_ctl generate` writes the seed's trees, unless another form is asked for.
fn with_seed_form(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let is_form = |a: &OsString| {
        a.to_str()
            .is_some_and(|a| a == "--format" || a.starts_with("--format="))
    };
    let verb = arguments.iter().position(|a| a == "generate");
    if let Some(verb) = verb.filter(|_| !arguments.iter().any(is_form)) {
        arguments.insert(verb + 1, "--format=xml".into());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_names_are_verbs() {
        let called = |name: &str| {
            let with = with_seed_names(vec![name.into(), "--config".into()]);
            with.into_iter()
                .map(|a| a.into_string().unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            called("/usr/bin/deploy.py"),
            ["/usr/bin/deploy.py", "deploy", "--config"]
        );
        assert_eq!(
            called("build_tasklist"),
            ["build_tasklist", "plan", "--config"]
        );
        assert_eq!(called("relman_ctl"), ["relman_ctl", "--config"]);
        let relman = |arguments: &[&str]| {
            let all = arguments.iter().map(OsString::from).collect();
            let with = with_seed_names(all).into_iter();
            with.map(|a| a.into_string().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(
            relman(&["/bin/relman_ctl", "generate", "manager", "m"]),
            [
                "/bin/relman_ctl",
                "generate",
                "--format=xml",
                "manager",
                "m"
            ]
        );
        let chosen = ["relman_ctl", "generate", "manager", "m", "--format=yaml"];
        assert_eq!(relman(&chosen), chosen);
        assert_eq!(called("windlass"), ["windlass", "--config"]);
    }

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
