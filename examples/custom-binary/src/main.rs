//! A `windlass` of one's own: all that Windlass has, and a command and a generator that only this program has.

mod greet;
mod greeting;

use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    // One of ours would replace a built-in one of the same name.
    windlass::main(|registry| {
        registry.command(greet::Greet);
        registry.generator(Arc::new(greeting::Greeting));
    })
}
