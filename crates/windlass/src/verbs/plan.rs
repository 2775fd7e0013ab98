//! `windlass plan`: what a deploy would do.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use windlass_engine::{journal, outline};
use windlass_model::HostName;
use windlass_model::diagnostic::{Diagnostic, nearest};
use windlass_model::tasklist::{self, Tasklist};

use crate::cli::Inputs;
use crate::ending::Ending;
use crate::making::{self, Made};
use crate::output::{print, print_by};
use crate::program::Program;
use crate::session::Session;

/// Shows what a deploy would do; touches nothing
#[derive(Debug, Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    inputs: Inputs,
    /// Print the tasklist as JSON
    #[arg(long, conflicts_with_all = ["save", "show"])]
    dump: bool,
    /// Write the tasklist to a file, for `deploy --tasklist FILE`
    #[arg(long, value_name = "FILE", conflicts_with = "show")]
    save: Option<PathBuf>,
    /// Print what would be run on a host, step by step; without HOST on every host
    #[arg(long, value_name = "HOST", num_args = 0..=1, default_missing_value = "")]
    show: Option<String>,
}

impl Plan {
    /// Makes the tasklist and shows it.
    pub(crate) async fn run(self, program: &Program) -> Result<(), Ending> {
        let mut session = Session::start(program)?;
        let result = self.plan(&mut session).await;
        session.finish(result).await
    }

    async fn plan(self, session: &mut Session) -> Result<(), Ending> {
        let mut made = making::make(session, &self.inputs).await?;
        if let Some(host) = &self.show {
            return show(session, &made, host);
        }
        if !self.dump && self.save.is_none() {
            return print("Syntax ok\n");
        }
        pin_files(&mut made).await?;
        match &self.save {
            Some(path) => save(&made.tasklist, path),
            None => print_by(|out| tasklist::write(&made.tasklist, out)),
        }
    }
}

fn show(session: &Session, made: &Made, host: &str) -> Result<(), Ending> {
    let run = journal::new_run_id(&session.state_dir())
        .ok_or_else(|| Ending::Own("no run id could be made".into()))?;
    let wanted = (!host.is_empty()).then(|| HostName::new(host));
    if let Some(wanted) = &wanted {
        let mut known = made.prepared.hosts();
        known.insert(HostName::local());
        if !known.contains(wanted) {
            let unknown =
                Diagnostic::error(format!("no task of this tasklist acts on host `{wanted}`"));
            let near = nearest(host, known.iter().map(HostName::as_str));
            return Err(match near {
                Some(near) => unknown.hint(format!("did you mean `{near}`?")),
                None => unknown.hint("`--show` without a host shows all of them"),
            }
            .into());
        }
    }
    print(&outline::show(&made.prepared, wanted.as_ref(), &run))
}

/// Pins the SHA-256 of every local file that the tasklist uploads.
async fn pin_files(made: &mut Made) -> Result<(), Ending> {
    let plan = made.prepared.plan.clone();
    let mut files: Vec<PathBuf> = made
        .prepared
        .tasks()
        .flat_map(|task| task.code.files())
        .collect();
    files.sort();
    files.dedup();
    files.retain(|file| !plan.files.contains_key(file.to_string_lossy().as_ref()));
    if files.is_empty() {
        return Ok(());
    }
    let base = made.base.clone();
    let pinned = tokio::task::spawn_blocking(move || {
        let digest = |file: &PathBuf| {
            let found = windlass_builtins::digest::sha256_file(&base.join(file)).map_err(|e| {
                Diagnostic::error(format!("{} cannot be read: {e}", file.display()))
            })?;
            Ok((file.to_string_lossy().into_owned(), found))
        };
        files
            .iter()
            .map(digest)
            .collect::<Result<Vec<_>, Diagnostic>>()
    })
    .await
    .map_err(|e| Ending::own("files cannot be pinned", e))??;
    made.tasklist.plan.get_or_insert(plan).files.extend(pinned);
    Ok(())
}

/// Writes a tasklist whole or not at all.
fn save(tasklist: &Tasklist, path: &Path) -> Result<(), Ending> {
    let wrong = |e: std::io::Error| {
        Ending::input(
            format!("the tasklist cannot be written to {}: {e}", path.display()),
            "name a file in a directory that you may write to",
        )
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    let written = std::fs::File::create(&new).and_then(|file| {
        let mut out = BufWriter::new(file);
        tasklist::write(tasklist, &mut out)?;
        out.flush()?;
        out.get_ref().sync_all()?;
        std::fs::rename(&new, path)
    });
    written.map_err(|e| {
        let _ = std::fs::remove_file(&new);
        wrong(e)
    })
}
