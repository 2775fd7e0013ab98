//! `windlass quickstart`: the main job, and the release system, on this machine, from nothing, in seconds.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::cli::Inputs;
use crate::ending::Ending;
use crate::making;
use crate::output::{print, say};
use crate::program::Program;
use crate::quickstart::release::{self, Services};
use crate::quickstart::{installations, sample, server};
use crate::serving::{Asked, Orders};
use crate::session::Session;

/// Deploys a sample service to this machine, then has the release system build and install a project
#[derive(Debug, Args)]
pub(crate) struct Quickstart {
    /// Where everything goes [default: a new directory in the temporary one]
    #[arg(value_name = "DIRECTORY")]
    root: Option<PathBuf>,
    /// Stop everything and end, instead of staying up until Ctrl-C
    #[arg(long)]
    once: bool,
    /// What the sample service itself runs
    #[arg(long, hide = true, num_args = 2, value_names = ["ADDRESS", "VERSION"])]
    serve: Option<Vec<String>>,
}

impl Quickstart {
    /// Does both, and stays up.
    pub(crate) async fn run(self, program: &Program) -> Result<(), Ending> {
        if let Some([address, version]) = self.serve.as_deref() {
            return server::serve(address, version).await;
        }
        let root = self.root(program)?;
        say(&format!(
            "Everything of this goes below {}\n",
            root.display()
        ));
        say("\n== One: a deploy. A sample service, twice, on this machine.\n");
        let config = self.sample(program, &root).await?;
        say(
            "\n== Two: the release system. A manager, a builder and an installer, in this process.\n",
        );
        let released = self.release(program, &root, &config).await;
        let stopped = stop(program, &config).await;
        released.and(stopped)
    }

    /// Deploys two releases of the sample, one over the other. Gives its config.
    async fn sample(&self, program: &Program, root: &Path) -> Result<PathBuf, Ending> {
        let address = server::free_address().await?;
        let sample = sample::write(root, &program.surroundings.binary, &address)?;
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
        Ok(sample.config)
    }

    /// Has the project `template` built and installed; then stays up, unless it is for once.
    async fn release(&self, program: &Program, root: &Path, config: &Path) -> Result<(), Ending> {
        let mut orders = Orders::of_signals()?;
        let made = installations::write(program, root).await?;
        let mut services = Services::start(program, &made).await?;
        let source = match &made.repository {
            Some(repository) => format!("the git repository {}", repository.display()),
            None => "a plain directory, since there is no git".into(),
        };
        say(&format!(
            "\nThe manager listens on {}. Project `template`, from {source}, into `test`:\n\n",
            made.url
        ));
        let asked = tokio::select! {
            asked = services.request() => asked,
            () = stopped(&mut orders) => Err(Ending::Interrupted),
        };
        if asked.is_ok() {
            say("\nInstalled:\n");
            release::show_files(&made.installer.path("install_base"))?;
            release::say_python(&made.url);
        }
        if asked.is_ok() && !self.once {
            say(&format!(
                "\nEverything stays up until Ctrl-C. Meanwhile, elsewhere:\n\
                 \x20   windlass plan --config {0} --directory {1} --redeploy --show\n\
                 \x20   windlass where --config {0}\n\
                 \x20   windlass runs show\n",
                config.display(),
                root.join("releases").display()
            ));
            tokio::select! {
                () = stopped(&mut orders) => {}
                ending = services.broken() => return Err(ending),
            }
        }
        let ended = services.stop().await;
        asked.and(ended)
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
                "name another directory: windlass quickstart DIRECTORY",
            )
        })?;
        Ok(root)
    }
}

/// Waits for an order to stop; there is nothing to read again.
async fn stopped(orders: &mut Orders) {
    while orders.next().await != Asked::Stop {}
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
