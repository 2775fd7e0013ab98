//! The `windlass` program as a library, so that somebody can build a binary with commands and generators of their own:
//! `fn main() -> ExitCode { windlass::main(|registry| { registry.command(Mine); }) }`.

mod access;
mod choice;
mod cli;
mod client;
mod ending;
mod given;
mod installation;
mod locking;
mod making;
mod origin;
mod output;
mod process;
mod program;
mod python;
mod quickstart;
mod record;
mod reporters;
mod resuming;
mod scaffold;
mod serving;
mod session;
mod site;
mod surroundings;
mod verbs;
mod view;

pub use program::{Extend, main};
