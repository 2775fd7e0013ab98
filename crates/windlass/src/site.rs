//! The hosts of a rolling config, to be asked what is there: shared by `where` and `rollback`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use windlass_engine::host::Hosts;
use windlass_engine::secrets::Secrets;
use windlass_model::config::Config;
use windlass_model::config::rolling::{PLATFORM, RollingConfig};
use windlass_model::tree::Map;

use crate::ending::Ending;
use crate::session::Session;

/// Which hosts of the config.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Chosen {
    /// Only these hosts
    #[arg(long, value_name = "HOST", num_args = 1..)]
    pub(crate) hosts: Vec<String>,
    /// Only the hosts of these hostgroups
    #[arg(long, value_name = "GROUP", num_args = 1..)]
    pub(crate) hostgroups: Vec<String>,
}

/// A config of platform `rolling`, and the way to its hosts.
pub(crate) struct Site {
    /// As written, the options on top.
    pub(crate) config: Config,
    /// The same, typed.
    pub(crate) rolling: RollingConfig,
    /// The folder of the config.
    pub(crate) base: PathBuf,
    /// Its hosts.
    pub(crate) hosts: Arc<dyn Hosts>,
    /// What they need to let us in.
    pub(crate) secrets: Arc<Secrets>,
}

impl Site {
    /// Loads the config for `verb`; connects to nothing yet.
    pub(crate) async fn open(
        session: &Session,
        named: Option<&Path>,
        chosen: &Chosen,
        verb: &str,
    ) -> Result<Self, Ending> {
        let mut options = Map::default();
        if !chosen.hosts.is_empty() {
            options.set("hosts", chosen.hosts.clone());
        }
        if !chosen.hostgroups.is_empty() {
            options.set("hostgroups", chosen.hostgroups.clone());
        }
        let (config, base) = session.needed_config(named, &options)?;
        if config.platform != PLATFORM {
            return Err(Ending::input(
                format!(
                    "`windlass {verb}` needs a config of platform `{PLATFORM}`, and this one is of `{}`",
                    config.platform
                ),
                "receipts on hosts tell what a run did there: `<install_location>/.windlass/receipts`",
            ));
        }
        let (rolling, _) = RollingConfig::read(&config)?;
        let (hosts, secrets) = session.hosts(Some((&config, &base))).await?;
        Ok(Self {
            config,
            rolling,
            base,
            hosts,
            secrets,
        })
    }
}

/// Lines of columns; each as wide as its widest cell, the last one as it is. A control character is shown as `?`.
pub(crate) fn aligned<const N: usize>(lines: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for line in lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for line in lines {
        let mut row = String::new();
        for (width, cell) in widths.iter().zip(line) {
            let cell: String = cell
                .chars()
                .map(|c| if c.is_control() { '?' } else { c })
                .collect();
            row.push_str(&format!("{cell:<width$}  "));
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}
