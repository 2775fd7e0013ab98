//! Programs of sh that commands run, put together from files in `scripts/`.
//!
//! They are POSIX sh and run under dash, bash, busybox ash and mksh with the tools of busybox or better. Exit status 0:
//! changed; [`UNCHANGED`](windlass_model::step::UNCHANGED): nothing to do; anything else: a failure, with the reason
//! as the last line of standard error.

use windlass_model::step::Run;

use crate::sh::quote;

/// `absent PATH`.
pub(crate) const ABSENT: &str = include_str!("scripts/lib/absent.sh");
/// `guard DIR`, `mount_point PATH`.
pub(crate) const GUARD: &str = include_str!("scripts/lib/guard.sh");
/// `rename FROM TO`, `swap FROM TO` (which needs [`TEMP`]).
pub(crate) const RENAME: &str = include_str!("scripts/lib/rename.sh");
/// `make_temp DIR`, `$temp`.
pub(crate) const TEMP: &str = include_str!("scripts/lib/temp.sh");

const BASE: &str = include_str!("scripts/lib/base.sh");

/// A program that is being put together.
#[derive(Debug, Default)]
pub(crate) struct Script(String);

impl Script {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Sets a variable to a word, whatever is in it.
    pub(crate) fn set(self, name: &str, word: &str) -> Self {
        self.line(&format!("{name}={}", quote(word)))
    }

    /// Sets a variable to `yes` or to nothing.
    pub(crate) fn flag(self, name: &str, on: bool) -> Self {
        self.set(name, if on { "yes" } else { "" })
    }

    /// A line of sh.
    pub(crate) fn line(mut self, line: &str) -> Self {
        self.0.push_str(line);
        self.0.push('\n');
        self
    }

    /// The program: variables first, then what it uses of the library, then its body. Comments are left out.
    pub(crate) fn run(self, library: &[&str], body: &str) -> Run {
        let mut script = self.0;
        for part in [BASE].iter().chain(library).chain([&body]) {
            for line in part.lines().filter(|l| !l.trim_start().starts_with('#')) {
                script.push_str(line);
                script.push('\n');
            }
        }
        Run::script(script)
    }
}
