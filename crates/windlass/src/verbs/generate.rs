//! `windlass generate`: the directory of a manager, a builder or an installer.

use std::path::{Path, PathBuf};

use clap::Args;
use windlass_model::release::AgentName;

use crate::ending::Ending;
use crate::output::say;
use crate::program::Program;
use crate::scaffold::{self, Form, Kind, Words};

/// Built-in auth plugins: there is nothing to write for them.
const BUILT_IN: [&str; 3] = ["anonymous", "users", "exec"];

/// Writes the directory of a manager, a builder or an installer, ready to be started
#[derive(Debug, Args)]
pub(crate) struct Generate {
    /// Of which
    kind: Kind,
    /// What it is called, among managers, builders and installers
    name: String,
    /// Bring an auth plugin to fill in: simpleauth, or a name of your own
    #[arg(short = 'a', long, value_name = "PLUGIN")]
    auth: Option<String>,
    /// Where to [default: NAME]
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// What its files are written in; called as relman_ctl: xml
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Form::Yaml)]
    format: Form,
}

impl Generate {
    /// Writes it; a directory that holds something is left alone.
    pub(crate) fn run(self, program: &Program) -> Result<(), Ending> {
        let name: AgentName = self
            .name
            .parse()
            .map_err(|fault: String| Ending::input(fault, "name it as in `my_builder`"))?;
        if let Some(plugin) = &self.auth {
            check_plugin(plugin)?;
        }
        let directory = self.directory.unwrap_or_else(|| self.name.clone().into());
        let root = program.surroundings.directory.join(&directory);
        check_empty(&root, &directory)?;
        let words = Words::new(
            self.kind,
            self.format,
            name.as_str(),
            &program.surroundings.binary,
            self.auth.as_deref(),
        )
        .map_err(|fault| Ending::input(fault, "install windlass below another directory"))?;
        let tree = scaffold::tree(self.kind, &words);
        let shown = directory.display();
        scaffold::write(&root, &tree).map_err(|e| {
            Ending::input(
                format!("{shown} cannot be written: {e}"),
                "name a directory that you may write to: `--directory DIR`",
            )
        })?;
        let kind = self.kind.word();
        let start = match self.format {
            Form::Yaml => format!("{shown}/serve"),
            Form::Xml => format!("cd {shown} && python3 serve.py"),
        };
        say(&format!(
            "{shown} written: the {kind} {name}. {shown}/README.txt says what is in it. Start it:\n\n    {start}\n"
        ));
        Ok(())
    }
}

/// An auth plugin becomes a module and a class of Python.
fn check_plugin(plugin: &str) -> Result<(), Ending> {
    if BUILT_IN.contains(&plugin) {
        return Err(Ending::input(
            format!("the auth plugin `{plugin}` is built in: there is nothing to fill in"),
            format!(
                "write conf/plugins/auth/plugin_auth_{plugin}.yaml with `klass: {plugin}` and `package: windlass.auth`"
            ),
        ));
    }
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let is_name = plugin.starts_with(|c: char| c.is_ascii_lowercase())
        && plugin.len() <= 64
        && plugin.chars().all(fits);
    match is_name {
        true => Ok(()),
        false => Err(Ending::input(
            format!("{plugin:?} is no name of an auth plugin"),
            "small letters, digits and `_`, beginning with a letter, as in `simpleauth`",
        )),
    }
}

fn check_empty(root: &Path, shown: &Path) -> Result<(), Ending> {
    let hint = "name another directory: `--directory DIR`";
    let shown = shown.display();
    match std::fs::read_dir(root) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(Ending::input(
                format!("{shown} is there already, and is not empty"),
                hint,
            )),
        },
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Ending::input(
            format!("{shown} cannot be written: {e}"),
            hint,
        )),
    }
}
