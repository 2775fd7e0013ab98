//! A manager on one of the databases, two builders, three installers: who can be killed, and started again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use windlass_testkit::chaos::Numbers;
use windlass_testkit::databases::{Kind, Server};

use super::clients::call;
use super::watcher::BULK;
use super::witness::{Witness, is_up};
use crate::http::ask;
use crate::service::{Form, Service, until};
use crate::world::{MANAGER, RECIPE, World};

/// Installers.
pub(crate) const INSTALLERS: usize = 3;
/// Environments; each installer installs into both, at once where it is asked to.
pub(crate) const ENVIRONMENTS: [&str; 2] = ["test", "qa"];
/// Builders.
const BUILDERS: usize = 2;

/// An upload that nobody carries on.
const OLD_UPLOAD: &str =
    "work/blobs/partial/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// What the manager keeps its transactions in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    Sqlite,
    Postgres,
    MariaDb,
}

impl Store {
    pub(crate) const ALL: [Self; 3] = [Self::Sqlite, Self::Postgres, Self::MariaDb];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
            Self::MariaDb => "MariaDB",
        }
    }

    fn server(self) -> Option<Server> {
        let kind = match self {
            Self::Sqlite => return None,
            Self::Postgres => Kind::Postgres,
            Self::MariaDb => Kind::MariaDb,
        };
        Some(Server::start(kind).unwrap())
    }
}

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Victim {
    Manager,
    Database,
    Builder(usize),
    Installer(usize),
}

impl Victim {
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Manager => "the manager",
            Self::Database => "the database",
            Self::Builder(_) => "a builder",
            Self::Installer(_) => "an installer",
        }
    }
}

/// All of it.
pub(crate) struct Stage {
    pub(crate) witness: Witness,
    manager: Service,
    builders: Vec<Service>,
    installers: Vec<Service>,
    database: Option<Server>,
    /// Who is down.
    down: Vec<Victim>,
    /// The last to go: a test that fails shows what its services said.
    pub(crate) world: World,
}

/// What a build does: it says so, and makes files that all hold the version. Some take a moment.
fn build(builder: &str) -> String {
    format!(
        r#"set -e
say() {{ read -r line </proc/$$/stat; set -- "$1" ${{line##*) }}; echo "build $1 $WINDLASS_JOB $WINDLASS_EPOCH {builder} $v $4" >>"$WITNESS"; }}
v=1.$WINDLASS_TRANSACTION
say start
mkdir -p out/deep
for file in version deep/version z; do echo "$v" >"out/$file"; done
yes "$v" | head -n {BULK} >out/bulk
sleep 0.$(date +%1N)
echo "$v" >"$WINDLASS_VERSION_FILE"
say finish
"#
    )
}

/// What an install says of itself. One that begins looks whether what the last one began, and did not finish, goes on still. One in
/// twenty-five takes longer than a lease lasts.
const INSTALL: &str = r#"set -e
what=$1 job=$2 epoch=$3 agent=$4 version=$5 witness=$6 busy=$7
group_of() { read -r line <"$1" || return 0; set -- ${line##*) }; state=$1 group=$3; }
say() { echo "install $1 $job $epoch $agent $version $own" >>"$witness"; }
group_of /proc/$$/stat
own=$group
case $what in
start)
  if [ -e "$busy" ]; then
    read -r other <"$busy"
    for stat in /proc/[0-9]*/stat; do
      group_of "$stat" 2>/dev/null || continue
      if [ "$group" = "$other" ] && [ "$state" != Z ] && [ "$other" != "$own" ]; then say beside; break; fi
    done
  fi
  echo "$own" >"$busy"
  say start
  ;;
pause) if [ "$(date +%2N)" -ge 96 ]; then sleep 7; else sleep "0.$(date +%1N)"; fi ;;
finish)
  say finish
  rm -f "$busy"
  ;;
esac
"#;

impl Stage {
    /// Everything, started.
    pub(crate) fn up(store: Store) -> Self {
        let mut stage = Self::manager_alone(store);
        let (world, witness) = (&stage.world, stage.world.path().join("witness"));
        stage.builders = (1..=BUILDERS)
            .map(|n| builder(world, &format!("b{n:02}"), &witness))
            .collect();
        fs::write(world.path().join("install.sh"), INSTALL).unwrap();
        stage.installers = (1..=INSTALLERS)
            .map(|n| installer(world, n, &witness))
            .collect();
        stage.builders.iter_mut().for_each(Service::start);
        stage.installers.iter_mut().for_each(Service::start);
        stage.world.registered(BUILDERS + INSTALLERS);
        stage
    }

    /// A manager on a database, started.
    pub(crate) fn manager_alone(store: Store) -> Self {
        let world = World::new(Form::Yaml);
        let witness = world.path().join("witness");
        let database = store.server();
        let manager = world.manager();
        if let Some(server) = &database {
            let klass = match store {
                Store::MariaDb => "mysql",
                _ => "postgresql",
            };
            manager.edit(MANAGER, "#persist: postgresql", "persist: chosen");
            let plugin = format!(
                "name: chosen\nklass: {klass}\npackage: windlass.persist\nurl: !file conf/url\n"
            );
            manager.write("conf/plugins/persist/plugin_persist_chosen.yaml", &plugin);
            manager.write("conf/url", &server.database("windlass").unwrap());
        }
        old_upload(&manager);
        let mut stage = Self {
            witness: Witness::new(witness),
            world,
            manager,
            builders: Vec::new(),
            installers: Vec::new(),
            database,
            down: Vec::new(),
        };
        stage.world.up(&mut stage.manager);
        stage
    }

    pub(crate) fn port(&self) -> u16 {
        self.world.port
    }

    /// Someone who is up.
    pub(crate) fn choose(&self, numbers: &mut Numbers) -> Victim {
        loop {
            let victim = match numbers.below(20) {
                0..4 => Victim::Manager,
                4..7 if self.database.is_some() => Victim::Database,
                4..11 => Victim::Builder(numbers.below(BUILDERS as u64) as usize),
                _ => Victim::Installer(numbers.below(INSTALLERS as u64) as usize),
            };
            if !self.down.contains(&victim) {
                return victim;
            }
        }
    }

    /// An agent's name.
    pub(crate) fn name(&self, victim: Victim) -> String {
        match victim {
            Victim::Builder(n) => format!("b{:02}", n + 1),
            Victim::Installer(n) => format!("i{:02}", n + 1),
            Victim::Manager | Victim::Database => String::new(),
        }
    }

    fn service(&mut self, victim: Victim) -> Option<&mut Service> {
        match victim {
            Victim::Manager => Some(&mut self.manager),
            Victim::Builder(n) => self.builders.get_mut(n),
            Victim::Installer(n) => self.installers.get_mut(n),
            Victim::Database => None,
        }
    }

    /// Kills one.
    pub(crate) fn kill(&mut self, victim: Victim) {
        self.down.push(victim);
        match (victim, &mut self.database) {
            (Victim::Database, Some(database)) => database.kill().unwrap(),
            _ => self.service(victim).unwrap().kill(),
        }
    }

    /// Starts it again; a database has answered by then, a service need not have.
    pub(crate) fn start(&mut self, victim: Victim) {
        self.down.retain(|down| *down != victim);
        match (victim, &mut self.database) {
            (Victim::Database, Some(database)) => database.start_again().unwrap(),
            _ => self.service(victim).unwrap().start(),
        }
    }

    fn services(&self) -> impl Iterator<Item = &Service> {
        let agents = self.builders.iter().chain(&self.installers);
        std::iter::once(&self.manager).chain(agents)
    }

    /// Nothing is down that was not killed.
    pub(crate) fn all_up(&self) {
        assert!(self.down.is_empty());
        for service in self.services() {
            let (up, dir) = (is_up(service.pid()), service.dir.display());
            assert!(up, "{dir} has ended by itself");
        }
    }

    /// The processes that should be.
    pub(crate) fn processes(&self) -> Vec<u32> {
        self.services().map(Service::pid).collect()
    }

    /// Whether the manager is up: it must be, unless it was killed.
    pub(crate) fn manager_is_up(&self) {
        let killed = self.down.contains(&Victim::Manager);
        assert!(
            killed || is_up(self.manager.pid()),
            "the manager has ended by itself"
        );
    }

    /// Whether the manager answers a question that needs its database.
    pub(crate) fn answers(&self) -> bool {
        let asked = call(self.port(), "GET", "transactions?limit=1", &Value::Null);
        asked.is_some_and(|(status, _)| status == 200)
    }

    /// Whether the manager says that it and its database can be used.
    pub(crate) fn is_ready(&self) -> bool {
        ask(self.port(), "GET", "/readyz", "").is_some_and(|answer| answer.status == 200)
    }

    /// Kills the database.
    pub(crate) fn kill_database(&mut self) {
        self.kill(Victim::Database);
    }

    /// Starts it again.
    pub(crate) fn start_database(&mut self) {
        self.start(Victim::Database);
    }

    /// Waits until it does, and all agents have registered anew.
    pub(crate) fn answering(&self) {
        until("the manager answers", || self.answers().then_some(()));
        until("agents are heard of", || {
            let agents = self.world.get("agents");
            let online = |agent: &Value| agent["online"] == true;
            let all = agents.as_array()?;
            (all.len() == BUILDERS + INSTALLERS && all.iter().all(online)).then_some(())
        });
    }

    /// What installers show: what the witness calls it, and the path.
    pub(crate) fn shown(&self) -> Vec<(String, PathBuf)> {
        let mut shown = Vec::new();
        for (n, installer) in self.installers.iter().enumerate() {
            for environment in ENVIRONMENTS {
                let name = place(&self.name(Victim::Installer(n)), environment);
                shown.push((name, installer.at(&visible(environment))));
            }
        }
        shown
    }

    /// The manager's work directory.
    pub(crate) fn kept(&self) -> PathBuf {
        self.manager.at("work")
    }

    /// What jobs have left in the work directories of agents, and an upload that nobody carries on.
    pub(crate) fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        if self.manager.at(OLD_UPLOAD).exists() {
            left.push(OLD_UPLOAD.to_owned());
        }
        for service in self.builders.iter().chain(&self.installers) {
            for folder in ["jobs", "resources", "logs"] {
                let names = service.list(&format!("work/{folder}"));
                let place = service.dir.join("work").join(folder);
                left.extend(names.iter().map(|n| place.join(n).display().to_string()));
            }
        }
        left
    }

    /// Waits until something holds.
    pub(crate) fn soon(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !holds() {
            assert!(begun.elapsed() < limit, "waited in vain: {what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// An upload that nobody will carry on, since two days.
fn old_upload(manager: &Service) {
    manager.write(OLD_UPLOAD, "half of it");
    let mut touch = Command::new("touch");
    touch.args(["-d", "2 days ago"]).arg(manager.at(OLD_UPLOAD));
    assert!(touch.status().unwrap().success());
}

fn builder(world: &World, name: &str, witness: &Path) -> Service {
    let builder = world.generate("builder", name);
    builder.edit("conf/builder/build_host_template", "slots: 1", "slots: 2");
    builder.write("build.sh", &build(name));
    let script = builder.at("build.sh");
    let recipe = json!({
        "name": "template", "klass": "commands", "package": "windlass.build",
        "vcs": {"directory": "svn_checkout/template"},
        "targets": {"template": {"from": "out", "archive": "tar.gz"}},
        "env": {"WITNESS": witness.display().to_string()},
        "commands": [format!("sh {}", script.display())],
    });
    builder.write(&format!("{RECIPE}.yaml"), &recipe.to_string());
    builder
}

/// What the witness calls a target: who installs, where to.
fn place(installer: &str, environment: &str) -> String {
    format!("{installer}.{environment}")
}

fn visible(environment: &str) -> String {
    format!("install_base/{environment}/template")
}

/// An installer of both environments.
fn installer(world: &World, n: usize, witness: &Path) -> Service {
    let name = format!("i{n:02}");
    let installer = world.generate("installer", &name);
    let config = "conf/installer/release_installer_template";
    let environments = "  test: [template]\n  qa: [template]";
    installer.edit(config, "  test: [template]", environments);
    installer.edit(config, "slots: 1", "slots: 2");
    for environment in ENVIRONMENTS {
        let target = json!({
            "name": "template", "install_behavior": "template", "install_path": visible(environment),
        });
        let folder = format!("conf/target/{environment}");
        installer.write(
            &format!("{folder}/named_target_template.yaml"),
            &target.to_string(),
        );
        let say = |what: &str| {
            let script = world.path().join("install.sh");
            let busy = installer.at(&format!("busy.{environment}"));
            let line = format!(
                "sh {} {what} {{job}} {{epoch}} {} {{version}} {} {}",
                script.display(),
                place(&name, environment),
                witness.display(),
                busy.display(),
            );
            json!({"command": "execute_command", "run": line})
        };
        let chain = chain(&installer, environment, n == INSTALLERS, &say);
        let stages = json!([{"name": "Install", "concurrency": 1, "tasks": [chain]}]);
        let behaviour = json!({
            "name": "template", "klass": "tasklist", "package": "windlass.install", "stages": stages,
        });
        let file = format!("{folder}/install_behavior_template.yaml");
        installer.write(&file, &behaviour.to_string());
    }
    installer
}

/// What an install does: a release takes the place of the former, or a link leads to the newest. It says when it starts and when it
/// finishes.
fn chain(
    installer: &Service,
    environment: &str,
    by_link: bool,
    say: &dyn Fn(&str) -> Value,
) -> Vec<Value> {
    let at = |path: &str| installer.at(path).display().to_string();
    let base = at(&format!("install_base/{environment}"));
    let (incoming, visible) = (format!("{base}/.incoming"), at(&visible(environment)));
    let place = match by_link {
        true => format!("{base}/template_{{version}}"),
        false => visible.clone(),
    };
    let mut chain = vec![
        say("start"),
        json!({"command": "createdirectory", "source": incoming, "clobber": true}),
        json!({"command": "unpack", "source": "{resource}", "destination": incoming}),
        say("pause"),
        json!({"command": "replacedirectory", "source": incoming, "destination": place, "replace": true}),
    ];
    if by_link {
        chain.extend([
            json!({"command": "symlink", "source": "template_{version}", "destination": visible}),
            json!({"command": "cleanup", "path": base, "filespec": "template_*", "keepversions": 3, "currentversion": "{version}"}),
        ]);
    }
    chain.push(say("finish"));
    chain
}
