//! Builders and installers.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;
use windlass_agent::fence::Fence;
use windlass_agent::groups::Groups;
use windlass_agent::guard::Guard;
use windlass_agent::scratch;
use windlass_agent::service::{Agent as Service, Log, Manager, Remote, Worker};
use windlass_agent::work::{Job, Limits as JobLimits, TargetConfig, Tools, run_id, versions};
use windlass_builtins::generators::GeneratorHelp;
use windlass_builtins::hosts::HostsOptions;
use windlass_builtins::plugins::{Plugins, Settings as PluginSettings, load_all};
use windlass_engine::interrupt::interrupt;
use windlass_engine::registry::{Registry, Work};
use windlass_model::SecretRef;
use windlass_model::ids::HostName;
use windlass_model::installation::Agent;
use windlass_model::release::{Advertisement, Ask, Environment, JobId, TargetName};
use windlass_model::step::Level;
use windlass_plugin::Limits;
use windlass_wire::connection::{Connection, Login};

use super::behaviours::behaviour;
use super::build::{Builder, Recipe};
use super::install::Installer;
use super::{Asked, Manner, Orders, Speech, references, secrets};
use crate::ending::Ending;
use crate::installation::{InstallerSetup, Place, load_builder, load_installer};
use crate::program::Program;

/// Serves a builder until it is told to stop.
pub(crate) async fn serve_builder(
    program: &Program,
    place: Place,
    name: &str,
    manner: Manner,
) -> Result<(), Ending> {
    let (setup, told) = load_builder(&place, name)?;
    let agent = &setup.host.agent;
    let speech = Speech::start(
        program,
        &place,
        &agent.service.logging,
        ("Builder", "builder.log"),
        manner.aloud,
    )?;
    speech.warn(&told);
    let mut wanted = HashSet::new();
    for builder in &setup.builders {
        references(&builder.item.settings.map, &mut wanted);
        wanted.extend(
            builder
                .item
                .vcs
                .as_ref()
                .and_then(|vcs| vcs.password.clone()),
        );
    }
    let served = async {
        let mut kit = Kit::new(program, &place, agent, &speech, wanted).await?;
        let mut recipes = BTreeMap::new();
        for builder in &setup.builders {
            let item = &builder.item;
            let code = (&item.code, &item.settings);
            let how = kit.behaviour(Work::Build, code).await?;
            let recipe = Recipe::new(&place, setup.host.limits, item, how);
            recipes.insert(item.project.clone(), recipe);
        }
        for group in Groups::of(&kit.directory).end_all() {
            let message = format!(
                "process group {group}, which an earlier build began, cannot be killed: end it"
            );
            speech.say(Level::Warning, &message);
        }
        let advertisement = Advertisement::Projects(recipes.keys().cloned().collect());
        let worker = Builder {
            tools: kit.tools(),
            recipes,
        };
        kit.serve(agent, advertisement, Arc::new(worker), manner.orders)
            .await
    };
    let result = served.await;
    speech.end().await;
    result
}

/// Serves an installer until it is told to stop.
pub(crate) async fn serve_installer(
    program: &Program,
    place: Place,
    name: &str,
    manner: Manner,
) -> Result<(), Ending> {
    let (setup, told) = load_installer(&place, name)?;
    let agent = &setup.installer.agent;
    let speech = Speech::start(
        program,
        &place,
        &agent.service.logging,
        ("Installer", "installer.log"),
        manner.aloud,
    )?;
    speech.warn(&told);
    let wanted = wanted_by(&setup);
    let served = async {
        let mut kit = Kit::new(program, &place, agent, &speech, wanted).await?;
        let targets = kit.targets(&setup).await?;
        let environments = setup
            .installer
            .environments
            .iter()
            .map(|(name, advertised)| {
                let targets: BTreeSet<_> =
                    advertised.targets.iter().map(|(t, _)| t.clone()).collect();
                (name.clone(), targets)
            });
        let advertisement = Advertisement::Environments(environments.collect());
        let fence = Fence::open(&kit.directory.join("state")).map_err(|e| {
            Ending::input(
                format!("the record of installs cannot be opened: {e}"),
                "only one installer runs in an installation at a time",
            )
        })?;
        let groups = Groups::of(&kit.directory);
        groups.forget_ended();
        let worker = Installer {
            tools: kit.tools(),
            targets,
            guard: Guard::new(fence, groups, kit.log()),
        };
        kit.serve(agent, advertisement, Arc::new(worker), manner.orders)
            .await
    };
    let result = served.await;
    speech.end().await;
    result
}

/// What is installed somewhere, as a behaviour tells.
pub(crate) struct InstalledVersion {
    pub(crate) environment: Environment,
    pub(crate) target: TargetName,
    pub(crate) host: String,
    pub(crate) version: Option<String>,
}

/// Asks the behaviours of an installer what is installed; with [`Ask::ResetVersion`] it is forgotten first, so that the next
/// install is done whatever is there. `wanted`: the environment and the target, where not all are.
pub(crate) async fn installed_versions(
    program: &Program,
    place: Place,
    name: &str,
    ask: Ask,
    wanted: (Option<&Environment>, Option<&TargetName>),
) -> Result<Vec<InstalledVersion>, Ending> {
    let (setup, told) = load_installer(&place, name)?;
    let agent = &setup.installer.agent;
    let logging = &agent.service.logging;
    let speech = Speech::start(
        program,
        &place,
        logging,
        ("Installer", "installer.log"),
        false,
    )?;
    speech.warn(&told);
    let asked = async {
        let mut kit = Kit::new(program, &place, agent, &speech, wanted_by(&setup)).await?;
        let targets = kit.targets(&setup).await?;
        let tools = kit.tools();
        let machine = HostName::local();
        let mut found = Vec::new();
        let fits = |key: &&(Environment, TargetName)| {
            wanted.0.is_none_or(|e| *e == key.0) && wanted.1.is_none_or(|t| *t == key.1)
        };
        for key in targets.keys().filter(fits) {
            let Some(config) = targets.get(key) else {
                continue;
            };
            let id: JobId = "versions".parse().map_err(Ending::Own)?;
            let run = run_id(&id, 1).ok_or_else(|| Ending::Own("no random numbers".into()))?;
            let (_interrupter, interrupt) = interrupt();
            let job = Job {
                id,
                epoch: 1,
                run,
                sinks: Vec::new(),
                interrupt,
                limits: JobLimits::default(),
            };
            let (environment, target) = key;
            let rows = versions(ask, environment, target, config, &machine, &tools, job).await;
            let rows = rows.map_err(|e| {
                let what = format!("{target} in {environment} does not tell its version: {e}");
                Ending::input(what, "look at its behaviour and at its install path")
            })?;
            found.extend(rows.into_iter().map(|row| InstalledVersion {
                environment: environment.clone(),
                target: target.clone(),
                host: row.host.to_string(),
                version: row.version.map(|v| v.to_string()),
            }));
        }
        kit.plugins.close().await;
        Ok(found)
    };
    let result = asked.await;
    speech.end().await;
    result
}

/// The references in the files of an installer.
fn wanted_by(setup: &InstallerSetup) -> HashSet<SecretRef> {
    let mut wanted = HashSet::new();
    for target in setup.targets.values() {
        references(&target.behavior.settings.map, &mut wanted);
        references(&target.target.settings.map, &mut wanted);
    }
    wanted
}

/// What both kinds of agent are made of.
struct Kit<'a> {
    place: &'a Place,
    speech: &'a Speech,
    registry: Registry,
    plugins: Arc<Plugins>,
    directory: PathBuf,
    tools: Tools,
    token: Option<String>,
}

impl<'a> Kit<'a> {
    async fn new(
        program: &Program,
        place: &'a Place,
        agent: &Agent,
        speech: &'a Speech,
        mut wanted: HashSet<SecretRef>,
    ) -> Result<Kit<'a>, Ending> {
        wanted.extend(agent.token.clone());
        let secrets = secrets(wanted, &place.root, &speech.events).await?;
        let token = agent.token.as_ref().and_then(|token| secrets.get(token));
        let token = token.map(|token| token.expose().to_owned());
        let root =
            std::path::absolute(&place.root).map_err(|e| Ending::own("the installation", e))?;
        let directory = root.join(&agent.service.work_path);
        std::fs::create_dir_all(&directory).map_err(|e| {
            Ending::input(
                format!("{}: {e}", directory.display()),
                "`work_path` names a directory that this user may write into",
            )
        })?;
        let surroundings = &program.surroundings;
        let hosts = windlass_builtins::hosts::hosts(HostsOptions {
            ssh_config: program.common.ssh_config.clone(),
            home: surroundings.home.clone(),
            local_user: surroundings.user.clone(),
            agent_socket: surroundings.agent_socket.clone(),
            secrets: secrets.clone(),
            ..HostsOptions::default()
        })?;
        let python_path = crate::python::unpack(&surroundings.cache)
            .map_err(|e| Ending::own("the Python package cannot be unpacked", e))?;
        let events = speech.events.clone();
        let plugins = Plugins::new(PluginSettings {
            python_path,
            env: windlass_plugin::clean_environment(crate::surroundings::variables()),
            limits: Limits::default(),
            log: Arc::new(move |level, component, host, tag, message| {
                events.log(level, component, host, tag, message);
            }),
        });
        let mut registry = program.registry();
        windlass_builtins::behaviours::register(&mut registry);
        // Generators and commands of the installation's own, for its tasklists.
        load_all(&mut registry, &plugins, std::slice::from_ref(&root)).await?;
        Ok(Self {
            place,
            speech,
            plugins,
            token,
            tools: Tools {
                registry: Arc::new(Registry::new()),
                hosts,
                secrets,
                help: Arc::new(|config, base, events, hosts| {
                    Box::new(GeneratorHelp::new(Arc::new(config), base, events, hosts))
                }),
                base: root,
                work: directory.clone(),
                by: surroundings.by(),
            },
            registry,
            directory,
        })
    }

    /// The targets of an installer, as jobs are told of them.
    async fn targets(
        &mut self,
        setup: &InstallerSetup,
    ) -> Result<BTreeMap<(Environment, TargetName), TargetConfig>, Ending> {
        let mut targets = BTreeMap::new();
        for (key, target) in &setup.targets {
            let code = (&target.behavior.code, &target.behavior.settings);
            let mut how = self.behaviour(Work::Install, code).await?;
            // What the target's own file says comes first.
            how.config.extend(target.target.settings.json());
            let config = TargetConfig {
                install_path: Some(self.absolute(&target.target.install_path)),
                behaviour: how,
            };
            targets.insert(key.clone(), config);
        }
        Ok(targets)
    }

    fn absolute(&self, path: &str) -> String {
        self.tools.base.join(path).display().to_string()
    }

    async fn behaviour(
        &mut self,
        work: Work,
        code: (
            &windlass_model::installation::Code,
            &windlass_model::installation::Settings,
        ),
    ) -> Result<windlass_agent::work::BehaviourConfig, Ending> {
        behaviour(
            &mut self.registry,
            &self.plugins,
            &self.place.root,
            work,
            code,
        )
        .await
    }

    /// With all behaviours that were registered by now.
    fn tools(&self) -> Tools {
        Tools {
            registry: Arc::new(self.registry.clone()),
            ..self.tools.clone()
        }
    }

    /// Takes lines for the agent's log.
    fn log(&self) -> Log {
        let (events, component) = (self.speech.events.clone(), self.speech.component);
        Arc::new(move |level, message| events.log(level, component, None, None, message))
    }

    async fn serve(
        mut self,
        agent: &Agent,
        advertisement: Advertisement,
        worker: Arc<dyn Worker>,
        mut orders: Orders,
    ) -> Result<(), Ending> {
        for (path, error) in scratch::sweep(&self.directory) {
            let message = format!(
                "what an earlier job left cannot be removed: {}: {error}",
                path.display()
            );
            self.speech.say(Level::Warning, &message);
        }
        let roots = match &agent.ca_certificate {
            None => None,
            Some(path) => {
                let path = self.place.path(path);
                Some(std::fs::read(&path).map_err(|e| {
                    Ending::input(
                        format!("{}: {e}", path.display()),
                        "`ca_certificate` is a file in PEM",
                    )
                })?)
            }
        };
        let mut managers: Vec<Arc<dyn Manager>> = Vec::new();
        for url in &agent.managers {
            let connection = Connection::new(url, Login::Anonymous, roots.as_deref());
            let connection = connection
                .map_err(|e| Ending::input(e.to_string(), "`managers` lists URLs of managers"))?;
            managers.push(Arc::new(Remote::new(connection)));
        }
        let name = agent
            .service
            .name
            .parse()
            .map_err(|e: String| Ending::input(e, "`name` of the service's file"))?;
        let service = Service {
            name,
            advertisement,
            slots: agent.slots,
            managers,
            token: self.token.take(),
            directory: self.directory.clone(),
            worker,
            log: self.log(),
        };
        let (stop, stopped) = watch::channel(false);
        let mut serving = tokio::spawn(service.serve(stopped));
        let served = loop {
            let asked = tokio::select! {
                asked = orders.next() => asked,
                // it could not begin
                served = &mut serving => break served,
            };
            match asked {
                Asked::Stop => {
                    self.speech
                        .say(Level::Info, "stopping: what runs is stopped");
                    stop.send_replace(true);
                    break serving.await;
                }
                Asked::Reload => self.speech.say(
                    Level::Warning,
                    "an agent does not read its files again: stop it and start it",
                ),
            }
        };
        self.plugins.close().await;
        self.speech.say(Level::Info, "stopped");
        match served {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(Ending::Own(why)),
            Err(panic) => Err(Ending::own("the agent broke", panic)),
        }
    }
}
