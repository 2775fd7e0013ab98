//! A manager, a builder and an installer, as `windlass generate` writes them, and a small repository to build from.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::process::Command;

use crate::ending::Ending;
use crate::installation::{DEFAULT_NAME, Place, load_manager};
use crate::program::Program;
use crate::scaffold::{self, Entry, Form, Kind, What, Words};

/// The port that a manager listens on where nothing else is said.
const PORT: u16 = 10_000;
/// How long one call of git may take.
const GIT: Duration = Duration::from_secs(20);

/// Where they are.
pub(crate) struct Installations {
    /// The manager.
    pub(crate) manager: Place,
    /// The builder.
    pub(crate) builder: Place,
    /// The installer.
    pub(crate) installer: Place,
    /// Where the manager listens.
    pub(crate) url: String,
    /// The repository of the project `template`; none where there is no git: then its source is a plain directory.
    pub(crate) repository: Option<PathBuf>,
}

/// Writes what is missing below `root`; what an earlier quickstart left there is taken as it is.
pub(crate) async fn write(program: &Program, root: &Path) -> Result<Installations, Ending> {
    let root = root
        .canonicalize()
        .map_err(|e| Ending::own(root.display(), e))?;
    let repository = root.join("template");
    if !root.join("manager").exists() {
        let port = free_port().await?;
        for kind in [Kind::Manager, Kind::Builder, Kind::Installer] {
            generate(program, &root, kind, port)?;
        }
        let source = root.join("builder/svn_checkout/template");
        if make_repository(&source, &repository).await {
            build_from(&root)?;
        } else {
            let _ = fs::remove_dir_all(&repository);
        }
    }
    let place = |kind: Kind| Place::new(&root.join(kind.word()), None);
    let manager = place(Kind::Manager)?;
    let (setup, _) = load_manager(&manager, DEFAULT_NAME)?;
    Ok(Installations {
        url: format!("http://localhost:{}", setup.manager.listen.port),
        manager,
        builder: place(Kind::Builder)?,
        installer: place(Kind::Installer)?,
        repository: repository.exists().then_some(repository),
    })
}

/// Port 10000, or any other one where that is taken.
async fn free_port() -> Result<u16, Ending> {
    let wrong = |e| Ending::own("no free port", e);
    let bind = |port| TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    if bind(PORT).await.is_ok() {
        return Ok(PORT);
    }
    let listener = bind(0).await.map_err(wrong)?;
    Ok(listener.local_addr().map_err(wrong)?.port())
}

fn generate(program: &Program, root: &Path, kind: Kind, port: u16) -> Result<(), Ending> {
    let binary = &program.surroundings.binary;
    let words = Words::new(kind, Form::Yaml, "quickstart", binary, None)
        .map_err(|fault| Ending::input(fault, "install windlass below another directory"))?;
    let mut tree = scaffold::tree(kind, &words);
    move_to(&mut tree, port);
    let directory = root.join(kind.word());
    scaffold::write(&directory, &tree).map_err(|e| Ending::own(directory.display(), e))
}

/// Has everything in a tree name another port.
fn move_to(tree: &mut [Entry], port: u16) {
    for entry in tree {
        if let What::File(text) = &mut entry.what {
            let lines = text.replace("listen_port: 10000", &format!("listen_port: {port}"));
            *text = lines.replace("localhost:10000", &format!("localhost:{port}"));
        }
    }
}

/// Makes a git repository of a directory's contents. Whether that worked: it does not where there is no git.
async fn make_repository(source: &Path, repository: &Path) -> bool {
    let site = repository.join("site");
    let (from, to) = (source.join("site/index.html"), site.join("index.html"));
    if fs::create_dir_all(&site).is_err() || fs::copy(from, to).is_err() {
        return false;
    }
    git(repository, &["init", "--quiet"]).await
        && git(repository, &["add", "--all"]).await
        && git(repository, &["commit", "--quiet", "-m", "The site"]).await
}

/// Runs git without anything that the user or the system set up for it.
async fn git(directory: &Path, arguments: &[&str]) -> bool {
    let mut command = Command::new("git");
    let settings = ["user.name=quickstart", "user.email=quickstart@localhost"];
    command.args(settings.iter().flat_map(|setting| ["-c", setting]));
    command
        .args(arguments)
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let done = tokio::time::timeout(GIT, command.status()).await;
    matches!(done, Ok(Ok(status)) if status.success())
}

/// Has the builder take the source from the repository.
fn build_from(root: &Path) -> Result<(), Ending> {
    let path = root.join("builder/conf/builder/release_builder_template.yaml");
    let wrong = |e| Ending::own(path.display(), e);
    let text = fs::read_to_string(&path).map_err(wrong)?;
    let text = text.replace(
        "  directory: svn_checkout/template\n",
        "  git: ../template\n",
    );
    fs::write(&path, text).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_names_the_usual_port_where_it_is_taken() {
        for kind in [Kind::Manager, Kind::Builder, Kind::Installer] {
            let words = Words::new(kind, Form::Yaml, "q", Path::new("/bin/w"), None);
            let mut tree = scaffold::tree(kind, &words.unwrap());
            move_to(&mut tree, 4711);
            for entry in tree {
                if let What::File(text) | What::Program(text) = entry.what {
                    assert!(!text.contains("10000"), "{}: {text}", entry.path);
                }
            }
        }
    }
}
