//! Where sources are had from: git, svn, a directory. Each states, as one program of sh that runs the real tool, how a
//! source becomes a directory; the command `checkout` runs it.
//!
//! No credential stands in an argument, in what is checked out or in a cache: it is in the environment of the one program.

pub mod directory;
pub mod git;
pub mod svn;
mod url;

#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use windlass_model::Text;
use windlass_model::step::Run;

use crate::commands::args::AbsolutePath;
use crate::commands::script::{ABSENT, RENAME, Script, TEMP};

/// The variable with the user's name.
const USERNAME: &str = "WINDLASS_VCS_USERNAME";
/// The variable with the password or token.
const PASSWORD: &str = "WINDLASS_VCS_PASSWORD";

/// What keeps the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Vcs {
    /// git.
    Git,
    /// Subversion.
    Svn,
    /// A directory of this machine.
    Directory,
}

/// Which line of development.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// The main one.
    Trunk,
    /// A branch.
    Branch(String),
    /// A tag.
    Tag(String),
}

/// A source, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkout {
    /// Where it is had from.
    pub url: String,
    /// Which line.
    pub line: Line,
    /// Which revision; the newest if absent.
    pub revision: Option<String>,
    /// The user's name.
    pub username: Option<Text>,
    /// The password or token.
    pub password: Option<Text>,
    /// Whether all of the history is wanted (git).
    pub history: bool,
    /// Whether externals are had as well (svn).
    pub externals: bool,
    /// The directory that it becomes.
    pub to: AbsolutePath,
    /// The file that gets the revision.
    pub revision_file: AbsolutePath,
}

/// An argument's name, and what is wrong with it.
pub type Fault = (&'static str, String);

impl Checkout {
    /// The one program that does it; or everything that is wrong.
    pub fn program(&self, vcs: Vcs) -> Result<Run, Vec<Fault>> {
        let made = match vcs {
            Vcs::Git => git::program(self),
            Vcs::Svn => svn::program(self),
            Vcs::Directory => directory::program(self),
        };
        let (script, env) = made?;
        let (name, body) = match &self.line {
            Line::Trunk => ("trunk", ""),
            Line::Branch(name) => ("branch", name.as_str()),
            Line::Tag(name) => ("tag", name.as_str()),
        };
        let mut run = script
            .set("kind", name)
            .set("name", body)
            .set("revision", self.revision.as_deref().unwrap_or(""))
            .set("to", self.to.as_str())
            .set("out", self.revision_file.as_str())
            .run(
                &[ABSENT, TEMP, RENAME, include_str!("scripts/land.sh")],
                match vcs {
                    Vcs::Git => include_str!("scripts/git.sh"),
                    Vcs::Svn => include_str!("scripts/svn.sh"),
                    Vcs::Directory => include_str!("scripts/directory.sh"),
                },
            );
        run.env = env;
        Ok(run)
    }

    /// The environment with the credentials, where there are any.
    fn credentials(&self) -> Vec<(String, Text)> {
        let given = [(USERNAME, &self.username), (PASSWORD, &self.password)];
        given
            .into_iter()
            .filter_map(|(name, text)| Some((name.to_owned(), text.clone()?)))
            .collect()
    }
}

/// What a module of this gives: the variables of its script, and the environment.
type Made = Result<(Script, Vec<(String, Text)>), Vec<Fault>>;

/// What is wrong with the name of a branch or tag: it becomes part of a ref, of a URL, never an option.
fn name_fault(line: &Line) -> Option<Fault> {
    let (key, name) = match line {
        Line::Trunk => return None,
        Line::Branch(name) => ("branch", name),
        Line::Tag(name) => ("tag", name),
    };
    let odd = |c: char| c.is_control() || c == ' ' || "\\~^:?*[".contains(c);
    let part = |part: &str| part.is_empty() || part.starts_with('.') || part.ends_with(".lock");
    let wrong = name.is_empty()
        || name.starts_with('-')
        || name.ends_with('.')
        || name.contains("..")
        || name.contains("@{")
        || name.chars().any(odd)
        || name.split('/').any(part);
    wrong.then(|| (key, format!("{name:?} is no name of a {key}")))
}
