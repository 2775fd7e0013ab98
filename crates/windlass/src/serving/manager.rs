//! A manager.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, lookup_host};
use windlass_builtins::plugins::{Plugins, Settings as PluginSettings};
use windlass_engine::secrets::Secrets;
use windlass_model::SecretRef;
use windlass_model::installation::{AuthCode, Database, Listen, OnFailure};
use windlass_model::release::rollout;
use windlass_model::step::Level;
use windlass_plugin::{Limits, LogLine};
use windlass_server::app::{App, Parts};
use windlass_server::auth::{Anonymous, Auth, Exec, Users};
use windlass_server::http::{Bounds, Tls, serve};
use windlass_server::settings::{EnvironmentSettings, ProjectSettings, Reload, Settings};
use windlass_store::{Options, Store, StoreError, StoreUrl};

use super::{Asked, Manner, Orders, Speech, references, references_of, secrets};
use crate::ending::Ending;
use crate::installation::{ManagerSetup, Place, load_manager};
use crate::program::Program;

/// How long a database that does not answer is waited for when a manager starts.
const DATABASE: Duration = Duration::from_secs(60);
/// Between two tries.
const AGAIN: Duration = Duration::from_millis(500);
/// Longest blob, in bytes.
const BLOB_LIMIT: u64 = 1 << 40;
/// Longest log of a job, in bytes.
const LOG_LIMIT: u64 = 256 << 20;
/// How long an auth plugin may take to answer: it is killed then, and nobody is let in.
const AUTH_TIME: Duration = Duration::from_secs(10);
/// How long a build waits for a builder.
const BUILD_DEADLINE: Duration = Duration::from_secs(24 * 3600);

/// Serves a manager until it is told to stop.
pub(crate) async fn serve_manager(
    program: &Program,
    place: Place,
    name: &str,
    manner: Manner,
) -> Result<(), Ending> {
    let (setup, told) = load_manager(&place, name)?;
    let logging = &setup.manager.service.logging;
    let speech = Speech::start(
        program,
        &place,
        logging,
        ("Manager", "manager.log"),
        manner.aloud,
    )?;
    speech.warn(&told);
    let result = run(program, &setup, &speech, (name, manner.orders)).await;
    speech.end().await;
    result
}

async fn run(
    program: &Program,
    setup: &ManagerSetup,
    speech: &Speech,
    (name, mut orders): (&str, Orders),
) -> Result<(), Ending> {
    let secrets = secrets(wanted(setup), &setup.place.root, &speech.events).await?;
    let plugins = plugins(program, speech)?;
    let settings = settings(setup, &secrets, &plugins)?;
    let work = setup.place.path(&setup.manager.service.work_path);
    fs::create_dir_all(&work).map_err(|e| {
        Ending::input(
            format!("{}: {e}", work.display()),
            "`work_path` names a directory that this user may write into",
        )
    })?;
    // Where it listens comes first: nothing is opened by a manager that cannot be reached.
    let listener = listen(
        &setup.manager.listen,
        &settings,
        setup.manager.allow_anonymous_remote,
    )
    .await?;
    let tls = tls(setup)?;
    let url = store_url(setup, &secrets, &work)?;
    let Some(store) = open(&url, speech, &mut orders).await? else {
        return Ok(());
    };
    let reload = reload(setup.place.clone(), name, &secrets, &plugins);
    let events = speech.events.clone();
    let open = settings.auth.is_open();
    let app = App::new(Parts {
        store: store.into(),
        directory: work.clone(),
        blob_limit: BLOB_LIMIT,
        log_limit: LOG_LIMIT,
        settings,
        reload,
        log: Arc::new(move |level, component, message| {
            events.log(level, component, None, None, message);
        }),
    })
    .await
    .map_err(|e| Ending::own("the manager's directories cannot be made", e))?;
    if open {
        speech.say(
            Level::Warning,
            "access is anonymous: everybody who can connect may do everything; `auth` names a plugin that asks who they are",
        );
    }
    let scheme = if tls.is_some() { "https" } else { "http" };
    let serving =
        serve(app.clone(), listener, tls, bounds()).map_err(|e| Ending::own("the socket", e))?;
    let scheduler = tokio::spawn(app.clone().schedule());
    for project in &setup.projects {
        let targets: Vec<&str> = project.targets.iter().map(|t| t.as_str()).collect();
        speech.say(
            Level::Info,
            &format!("project {}: {}", project.name, targets.join(", ")),
        );
    }
    speech.say(
        Level::Info,
        &format!("listening on {scheme}://{}", serving.address),
    );
    while let Asked::Reload = orders.next().await {
        if let Err(error) = app.reload() {
            let message = format!("the settings stay as they were: {error}");
            speech.say(Level::Error, &message);
        }
    }
    speech.say(Level::Info, "stopping: what is being answered is finished");
    app.stop();
    serving.stop().await;
    let _ = scheduler.await;
    plugins.close().await;
    speech.say(Level::Info, "stopped");
    Ok(())
}

/// How many connections there may be: each takes a file descriptor, and the database, blobs and logs need some as well. As many
/// are asked for as the system gives.
fn bounds() -> Bounds {
    let mut bounds = Bounds::default();
    let files = crate::process::allow_files();
    if let Some(files) = files.and_then(|files| usize::try_from(files).ok()) {
        bounds.connections = bounds.connections.min(files / 4 * 3).max(1);
    }
    bounds
}

/// The references in the files of a manager.
fn wanted(setup: &ManagerSetup) -> HashSet<SecretRef> {
    let mut found = HashSet::new();
    if let Some(url) = setup.persist.as_ref().and_then(|p| p.url.as_ref()) {
        references_of(url, &mut found);
    }
    if let Some(auth) = &setup.auth {
        references(&auth.item.settings.map, &mut found);
    }
    found
}

fn plugins(program: &Program, speech: &Speech) -> Result<Arc<Plugins>, Ending> {
    let python_path = crate::python::unpack(&program.surroundings.cache)
        .map_err(|e| Ending::own("the Python package cannot be unpacked", e))?;
    let events = speech.events.clone();
    Ok(Plugins::new(PluginSettings {
        python_path,
        env: windlass_plugin::clean_environment(crate::surroundings::variables()),
        limits: Limits {
            call_time: AUTH_TIME,
            ..Limits::default()
        },
        log: Arc::new(move |level, component, host, tag, message| {
            events.log(level, component, host, tag, message);
        }),
    }))
}

fn settings(
    setup: &ManagerSetup,
    secrets: &Secrets,
    plugins: &Arc<Plugins>,
) -> Result<Settings, Ending> {
    let manager = &setup.manager;
    let project = |project: &windlass_model::installation::ProjectDefinition| {
        let rollout = rollout::Rollout {
            order: project.rollout.order.clone(),
            batch: project.rollout.batch,
            max_failures: project.rollout.max_failures,
            on_failure: match project.rollout.on_failure {
                OnFailure::Stop => rollout::OnFailure::Stop,
                OnFailure::Rollback => rollout::OnFailure::Rollback,
            },
        };
        let settings = ProjectSettings {
            targets: project.targets.clone(),
            actions: project.actions.clone(),
            rollout,
        };
        (project.name.clone(), settings)
    };
    let environments: BTreeMap<_, _> = manager
        .environments
        .iter()
        .map(|(name, rules)| {
            let from = rules.from.clone();
            (name.clone(), EnvironmentSettings { from })
        })
        .collect();
    Ok(Settings {
        projects: setup.projects.iter().map(project).collect(),
        environments,
        auth: auth(setup, secrets, plugins)?,
        lease: Duration::from_secs(u64::from(manager.lease)),
        install_deadline: Duration::from_secs(u64::from(manager.install_deadline)),
        build_deadline: BUILD_DEADLINE,
        request_limit: manager.request_limit,
        tokens_on_loopback: false,
    })
}

fn auth(
    setup: &ManagerSetup,
    secrets: &Secrets,
    plugins: &Arc<Plugins>,
) -> Result<Arc<dyn Auth>, Ending> {
    let Some(plugin) = &setup.auth else {
        return Ok(Arc::new(Anonymous));
    };
    let name = &plugin.item.name;
    let config = plugin.item.settings.json();
    match &plugin.item.code {
        AuthCode::Anonymous => Ok(Arc::new(Anonymous)),
        AuthCode::Users => {
            let wrong = |why: String| {
                Ending::input(
                    format!("plugin_auth_{name}: {why}"),
                    "it holds `users` (name -> password, an argon2 hash, and roles) and `roles`",
                )
            };
            let mut config = serde_json::Value::Object(config);
            fill(&mut config, secrets);
            let config = serde_json::from_value(config).map_err(|e| wrong(e.to_string()))?;
            Ok(Arc::new(Users::new(config).map_err(wrong)?))
        }
        AuthCode::Exec | AuthCode::Own(_) => {
            let named = config.get("program").and_then(serde_json::Value::as_str);
            let file = match (&plugin.program, named) {
                (Some(program), _) => program.clone(),
                (None, Some(named)) => setup.place.path(named),
                (None, None) => {
                    return Err(Ending::input(
                        format!("plugin_auth_{name} names no program"),
                        "`program: PATH`, relative to the installation",
                    ));
                }
            };
            let log: windlass_plugin::Log = Arc::new(|_: LogLine| {});
            Ok(Arc::new(Exec::new(plugins.worker(&file), config, log)))
        }
    }
}

/// Puts the values of secrets where their references stand.
fn fill(value: &mut serde_json::Value, secrets: &Secrets) {
    use serde_json::Value;
    if let Value::Object(map) = value {
        let reference = map.get("$secret").cloned();
        let reference = reference.and_then(|r| serde_json::from_value::<SecretRef>(r).ok());
        if let Some(secret) = reference.and_then(|r| secrets.get(&r).cloned()) {
            *value = Value::String(secret.expose().to_owned());
            return;
        }
        map.values_mut().for_each(|inner| fill(inner, secrets));
    } else if let Value::Array(items) = value {
        items.iter_mut().for_each(|inner| fill(inner, secrets));
    }
}

fn reload(place: Place, name: &str, secrets: &Arc<Secrets>, plugins: &Arc<Plugins>) -> Reload {
    let (name, secrets, plugins) = (name.to_owned(), secrets.clone(), plugins.clone());
    Arc::new(move || {
        let (setup, _) = load_manager(&place, &name).map_err(|faults| faults.to_string())?;
        let unknown = wanted(&setup)
            .into_iter()
            .any(|s| secrets.get(&s).is_none());
        if unknown {
            return Err("the files refer to a secret that is new: start the manager again".into());
        }
        settings(&setup, &secrets, &plugins).map_err(|e| e.to_string())
    })
}

fn store_url(setup: &ManagerSetup, secrets: &Secrets, work: &Path) -> Result<StoreUrl, Ending> {
    let sqlite = || StoreUrl::sqlite(work.join("manager.sqlite"));
    let Some(persist) = &setup.persist else {
        return Ok(sqlite());
    };
    let Some(url) = &persist.url else {
        return match persist.database {
            Database::Sqlite => Ok(sqlite()),
            Database::Postgresql | Database::Mysql => Err(Ending::input(
                format!("plugin_persist_{} has no `url`", persist.name),
                "as in postgresql://USER@HOST/DATABASE; the whole may be a secret: `url: !env NAME`",
            )),
        };
    };
    let filled = secrets.fill(url);
    let text = filled.ok_or_else(|| Ending::Own("a secret was not resolved".into()))?;
    text.expose().parse().map_err(store_fault)
}

/// Opens the store. A database that does not answer is waited for: it is being started as well, or started again. None where the
/// manager is told to stop meanwhile.
async fn open(
    url: &StoreUrl,
    speech: &Speech,
    orders: &mut Orders,
) -> Result<Option<Store>, Ending> {
    let end = Instant::now() + DATABASE;
    let mut told = false;
    loop {
        match Store::open(url, &Options::default()).await {
            Err(error @ StoreError::Unreachable(_))
                if url.is_of_a_server() && Instant::now() < end =>
            {
                if !told {
                    told = true;
                    let message = format!("the store is waited for: {error}");
                    speech.say(Level::Warning, &message);
                }
            }
            opened => return opened.map(Some).map_err(store_fault),
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            asked = orders.next() => if asked == Asked::Stop {
                return Ok(None);
            },
        }
    }
}

fn store_fault(error: StoreError) -> Ending {
    match &error {
        StoreError::BadUrl(_) | StoreError::Denied(_) | StoreError::Newer { .. } => Ending::input(
            format!("the store: {error}"),
            "`persist` of the manager's file names a plugin_persist_NAME, whose `url` is sqlite:PATH, postgresql://... or mysql://...",
        ),
        _ => Ending::own("the store cannot be opened", error),
    }
}

async fn listen(listen: &Listen, settings: &Settings, remote: bool) -> Result<TcpListener, Ending> {
    let place = (listen.address.as_str(), listen.port);
    let wrong = |e: std::io::Error| {
        Ending::input(
            format!("cannot listen on {}:{}: {e}", listen.address, listen.port),
            "`listen_port` and `listen_address` name a free port of this machine",
        )
    };
    let addresses: Vec<SocketAddr> = lookup_host(place).await.map_err(wrong)?.collect();
    let beyond = addresses
        .iter()
        .any(|a| !a.ip().to_canonical().is_loopback());
    if beyond && settings.auth.is_open() && !remote {
        return Err(Ending::input(
            format!(
                "access is anonymous, and {} can be reached from other machines",
                listen.address
            ),
            "name an `auth` plugin, listen on 127.0.0.1, or say `allow_anonymous_remote: true`",
        ));
    }
    TcpListener::bind(&addresses[..]).await.map_err(wrong)
}

fn tls(setup: &ManagerSetup) -> Result<Option<Tls>, Ending> {
    let Some(tls) = &setup.manager.tls else {
        return Ok(None);
    };
    let read = |path: &str| {
        let path = setup.place.path(path);
        fs::read(&path).map_err(|e| {
            Ending::input(
                format!("{}: {e}", path.display()),
                "`tls` names a certificate and its key, in PEM",
            )
        })
    };
    let made = Tls::new(&read(&tls.certificate)?, &read(&tls.key)?);
    made.map(Some).map_err(|why| {
        Ending::input(
            why,
            "`tls` names a certificate and its key, in PEM, that belong together",
        )
    })
}
