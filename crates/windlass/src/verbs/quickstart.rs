//! `windlass quickstart`: the main job on this machine, from nothing, in seconds.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::cli::Inputs;
use crate::ending::Ending;
use crate::making;
use crate::output::{print, say};
use crate::program::Program;
use crate::quickstart::{sample, server};
use crate::session::Session;

/// Deploys a sample service to this machine and shows it answer
#[derive(Debug, Args)]
pub(crate) struct Quickstart {
    /// Where everything goes [default: a new directory in the temporary one]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Stop the service and end, instead of leaving it up
    #[arg(long)]
    once: bool,
    /// What the sample service itself runs
    #[arg(long, hide = true, num_args = 2, value_names = ["ADDRESS", "VERSION"])]
    serve: Option<Vec<String>>,
}

impl Quickstart {
    /// Deploys two releases of the sample, one over the other.
    pub(crate) async fn run(self, program: &Program) -> Result<(), Ending> {
        if let Some([address, version]) = self.serve.as_deref() {
            return server::serve(address, version).await;
        }
        let root = self.root(program)?;
        let binary =
            std::env::current_exe().map_err(|e| Ending::own("the path of this program", e))?;
        let address = server::free_address().await?;
        let sample = sample::write(&root, &binary, &address)?;
        say(&format!(
            "Everything of this goes below {}\n",
            root.display()
        ));
        for (version, package) in &sample.packages {
            say(&format!(
                "\n$ windlass deploy --config {} --component {}\n",
                sample.config.display(),
                package.display()
            ));
            deploy(program, &sample.config, package).await?;
            let answer = server::ask(&address).await?;
            print(&format!("http://{address}/ says: {}\n", answer.trim()))?;
            if !answer.contains(version.as_str()) {
                return Err(Ending::Own(format!(
                    "the service does not run {version}, but says {answer:?}"
                )));
            }
        }
        if self.once {
            return stop(program, &sample.config).await;
        }
        say(&format!(
            "\nThe service stays up. Go on with\n\
             \x20 windlass plan --config {0} --component {1} --redeploy --show\n\
             \x20 windlass runs show\n\
             \x20 windlass service stop sample --config {0}\n",
            sample.config.display(),
            sample
                .packages
                .last()
                .map(|(_, p)| p.display().to_string())
                .unwrap_or_default(),
        ));
        Ok(())
    }

    fn root(&self, program: &Program) -> Result<PathBuf, Ending> {
        let root = match &self.root {
            Some(root) => program.surroundings.directory.join(root),
            None => {
                std::env::temp_dir().join(format!("windlass-quickstart-{}", std::process::id()))
            }
        };
        std::fs::create_dir_all(&root).map_err(|e| {
            Ending::input(
                format!("{} cannot be made: {e}", root.display()),
                "name another with --root",
            )
        })?;
        Ok(root)
    }
}

async fn deploy(program: &Program, config: &Path, package: &Path) -> Result<(), Ending> {
    let mut session = Session::start(program)?;
    let inputs = Inputs {
        config: Some(config.to_owned()),
        component: vec![package.to_owned()],
        ..Inputs::default()
    };
    let result = match making::make(&mut session, &inputs).await {
        Ok(made) => making::run(&mut session, made, &[]).await,
        Err(ending) => Err(ending),
    };
    session.finish(result).await
}

async fn stop(program: &Program, config: &Path) -> Result<(), Ending> {
    let stop = super::service::Service::stop("sample", config);
    tokio::time::timeout(Duration::from_secs(120), stop.run(program))
        .await
        .unwrap_or_else(|_| {
            Err(Ending::Own(
                "the sample service did not stop within 120 s".into(),
            ))
        })
}
