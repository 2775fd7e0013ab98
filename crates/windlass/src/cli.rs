//! The command line. One verb a file in [`crate::verbs`]; here they are joined.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::verbs;

/// Builds releases, keeps them, and puts them on machines.
#[derive(Debug, Parser)]
#[command(
    name = "windlass",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    /// Options of every verb.
    #[command(flatten)]
    pub(crate) common: Common,
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Options of every verb.
#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// Where runs are recorded [default: $XDG_STATE_HOME/windlass]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state_dir: Option<PathBuf>,
    /// An ssh_config to read instead of ~/.ssh/config and /etc/ssh/ssh_config
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ssh_config: Option<PathBuf>,
    /// How the log on standard error looks
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
    /// Say more: the output of every program, and what each task came to
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
    /// Say only what is wrong
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

/// How the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people, with progress on a terminal
    Text,
    /// One JSON object an event
    Json,
}

/// What a deploy or a plan is made from.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Inputs {
    /// The platform config [default: windlass.yaml here or in a parent folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Packages to deploy
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) component: Vec<PathBuf>,
    /// Release directories: every package in them is deployed
    #[arg(long, value_name = "DIR", num_args = 1..)]
    pub(crate) directory: Vec<PathBuf>,
    /// A tasklist to take as it is, instead of generating one
    #[arg(long, value_name = "FILE", conflicts_with_all = ["component", "directory", "redeploy", "hosts", "hostgroups"])]
    pub(crate) tasklist: Option<PathBuf>,
    /// Only these hosts
    #[arg(long, value_name = "HOST", num_args = 1..)]
    pub(crate) hosts: Vec<String>,
    /// Only the hosts of these hostgroups
    #[arg(long, value_name = "GROUP", num_args = 1..)]
    pub(crate) hostgroups: Vec<String>,
    /// Deploy also where the version already runs
    #[arg(long)]
    pub(crate) redeploy: bool,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Write a commented windlass.yaml to start from
    Init(verbs::init::Init),
    /// Put releases on hosts
    Deploy(verbs::deploy::Deploy),
    /// Show what a deploy would do; touch nothing
    Plan(verbs::plan::Plan),
    /// Show what was run, when, and what came of it
    Runs(verbs::runs::Runs),
    /// Show which release is on which host, since when, and who put it there
    Where(verbs::where_is::Where),
    /// Put the hosts that a run changed back to what ran well before
    Rollback(verbs::rollback::Rollback),
    /// Start, stop, restart or look at a service of the config
    Service(verbs::service::Service),
    /// Run a shell line on hosts
    Run(verbs::run::Run),
    /// Look at hosts before a deploy does, and approve their keys
    Hosts(verbs::hosts::Hosts),
    /// List the commands of tasklists and their arguments
    Commands(verbs::commands::Commands),
    /// List the generators: what a config's `platform` may name
    Generators(verbs::generators::Generators),
    /// Write the directory of a manager, a builder or an installer, ready to be started
    Generate(verbs::generate::Generate),
    /// Start a manager, a builder or an installer
    Serve(verbs::serve::Serve),
    /// Ask a manager for a build, an install, or another action of a project
    Request(verbs::request::Request),
    /// Show a transaction and its jobs
    Status(verbs::status::Status),
    /// Show everything that is recorded about a transaction, or the newest transactions
    History(verbs::history::History),
    /// Say what came of a job whose outcome is not known
    Settle(verbs::settle::Settle),
    /// Take a transaction back
    Cancel(verbs::cancel::Cancel),
    /// List a manager's projects, their targets, and who builds them
    Projects(verbs::projects::Projects),
    /// List a manager's environments, their targets, and who installs there
    Environments(verbs::environments::Environments),
    /// List releases, the newest first; mark one as rejected
    Releases(verbs::releases::Releases),
    /// Take a release in from an archive, or write one to an archive
    Release(verbs::release::Release),
    /// List a manager's builders and installers; remove or drain one; make a token for one to join with
    Agents(verbs::agents::Agents),
    /// Show which versions an installer has installed, as its behaviours tell; no manager is asked
    Versions(verbs::versions::Versions),
    /// Print the JSON Schema of a format
    Schema(verbs::schema::Schema),
    /// Deploy a sample service to this machine; build and install a project with the release system
    Quickstart(verbs::quickstart::Quickstart),
    /// Print the folder of the Python package that plugins and scripts import
    Python(verbs::python::Python),
    /// Print completions for a shell
    Completions(verbs::completions::Completions),
    /// Print the manual page
    Man(verbs::man::Man),
}
