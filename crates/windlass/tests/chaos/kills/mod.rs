//! `kill -9` of everything: of the deploying Windlass, of managers, builders and installers, and of the databases beneath.

mod checks;
mod clients;
mod deploys;
mod outage;
mod recovery;
mod services;
mod stage;
mod watcher;
mod witness;
