//! A manager with its agents, on ports of their own.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{Answer, ask};
use crate::service::{Form, Service, until};

/// Services in one directory.
pub(crate) struct World {
    pub(crate) place: TempDir,
    pub(crate) form: Form,
    /// The manager's.
    pub(crate) port: u16,
}

/// A port below those that the system gives away by itself.
pub(crate) fn free_port() -> u16 {
    static ASKED: AtomicU16 = AtomicU16::new(0);
    let own = u16::try_from(std::process::id() % 12_000).unwrap();
    let first = own + 211 * (ASKED.fetch_add(1, Ordering::Relaxed) % 14);
    let mut ports = (0..2000).map(|n| 15_000 + (first + n * 7) % 15_000);
    ports
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .unwrap()
}

impl World {
    pub(crate) fn new(form: Form) -> Self {
        let place = tempfile::Builder::new()
            .prefix("wl-release-")
            .tempdir()
            .unwrap();
        let binary = env!("CARGO_BIN_EXE_windlass");
        for name in ["windlass", "relman_ctl"] {
            symlink(binary, place.path().join(name)).unwrap();
        }
        Self {
            place,
            form,
            port: free_port(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.place.path()
    }

    /// Generates a directory; its configs get this manager's port.
    pub(crate) fn generate(&self, kind: &str, name: &str) -> Service {
        let program = match self.form {
            Form::Yaml => "windlass",
            Form::Xml => "relman_ctl",
        };
        let made = Command::new(self.path().join(program))
            .args(["generate", kind, name])
            .current_dir(self.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", text(&made));
        let service = Service::new(self.path().join(name), self.form);
        let file = match kind {
            "manager" => "conf/manager/release_manager_template",
            "builder" => "conf/builder/build_host_template",
            _ => "conf/installer/release_installer_template",
        };
        service.edit(file, "10000", &self.port.to_string());
        service
    }

    /// A manager whose leases are short.
    pub(crate) fn manager(&self) -> Service {
        let manager = self.generate("manager", "manager");
        match self.form {
            Form::Yaml => manager.edit(MANAGER, "#lease: 30", "lease: 5"),
            Form::Xml => manager.edit(
                MANAGER,
                "</release_manager>",
                "<lease>5</lease></release_manager>",
            ),
        }
        manager
    }

    /// One of each, started: `installers` of them.
    pub(crate) fn all(&self, installers: usize) -> (Service, Service, Vec<Service>) {
        let mut manager = self.manager();
        let mut builder = self.generate("builder", "builder");
        let mut all = self.installers(installers);
        self.up(&mut manager);
        builder.start();
        all.iter_mut().for_each(Service::start);
        self.registered(1 + installers);
        (manager, builder, all)
    }

    /// Installers `i01`, `i02`, ...
    pub(crate) fn installers(&self, count: usize) -> Vec<Service> {
        (1..=count)
            .map(|n| self.generate("installer", &format!("i{n:02}")))
            .collect()
    }

    /// Starts a manager and waits until it answers.
    pub(crate) fn up(&self, manager: &mut Service) {
        manager.start();
        until("the manager answers", || {
            let answer = ask(self.port, "GET", "/readyz", "")?;
            (answer.status == 200).then_some(())
        });
    }

    /// Waits for that many agents.
    pub(crate) fn registered(&self, count: usize) {
        until("agents register", || {
            (self.get("agents").as_array()?.len() == count).then_some(())
        });
    }

    /// Below `/api/v1`.
    pub(crate) fn get(&self, path: &str) -> Value {
        let answer = ask(self.port, "GET", &format!("/api/v1/{path}"), "");
        answer.map_or(Value::Null, |answer| answer.json())
    }

    /// The same.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        ask(
            self.port,
            "POST",
            &format!("/api/v1/{path}"),
            &body.to_string(),
        )
        .unwrap()
    }

    /// Asks for an action; gives the id.
    pub(crate) fn request(&self, data: &Value) -> String {
        let answer = self.post("transactions", data);
        assert_eq!(answer.status, 200, "{}", answer.body);
        word(&answer.json()["transaction"])
    }

    /// The seed's request, with more keys.
    pub(crate) fn install(&self, more: &Value) -> String {
        let mut data = json!({"project": "template", "action": "install", "env": "test"});
        let more = more.as_object().unwrap().clone();
        data.as_object_mut().unwrap().extend(more);
        self.request(&data)
    }

    pub(crate) fn status(&self, id: &str) -> String {
        word(&self.get(&format!("transactions/{id}"))["status"])
    }

    /// Waits until a transaction has a status that is not on the way; gives it.
    pub(crate) fn ended(&self, id: &str) -> String {
        until("the transaction ends", || {
            let status = self.status(id);
            let on_the_way = ["STARTED", "BUILD_COMPLETED", ""].contains(&status.as_str());
            (!on_the_way).then_some(status)
        })
    }

    /// Waits for a status.
    pub(crate) fn becomes(&self, id: &str, status: &str) {
        until(status, || (self.status(id) == status).then_some(()));
    }

    /// Installs and waits for the end, which must be a good one.
    pub(crate) fn installed(&self, more: &Value) -> String {
        let id = self.install(more);
        assert_eq!(self.ended(&id), "INSTALL_COMPLETED", "{}", self.story(&id));
        id
    }

    /// Its history: what happened, and more.
    pub(crate) fn history(&self, id: &str) -> Vec<(String, String)> {
        let all = self.get(&format!("transactions/{id}/history"));
        let entry = |e: &Value| (word(&e["what"]), word(&e["detail"]));
        all.as_array().unwrap().iter().map(entry).collect()
    }

    /// How often something happened.
    pub(crate) fn count(&self, id: &str, what: &str) -> usize {
        let history = self.history(id);
        history.iter().filter(|(w, _)| w == what).count()
    }

    /// Its history as lines, without what is another one each time.
    pub(crate) fn story(&self, id: &str) -> String {
        let line = |(what, detail): &(String, String)| match detail.is_empty() {
            true => format!("{what}\n"),
            false => format!("{what}: {detail}\n"),
        };
        let story: String = self.history(id).iter().map(line).collect();
        story.replace(id, "ID")
    }

    /// The matrix: `agent release`, sorted.
    pub(crate) fn matrix(&self) -> Vec<String> {
        let all = self.get("installed");
        let row = |r: &Value| format!("{} {}", word(&r["agent"]), word(&r["release"]));
        let mut rows: Vec<_> = all.as_array().unwrap().iter().map(row).collect();
        rows.sort();
        rows
    }

    /// Runs Python.
    pub(crate) fn python(&self, script: &str) -> String {
        let ran = Command::new("python3").args(["-c", script]).output();
        let ran = ran.unwrap();
        assert!(ran.status.success(), "{}", text(&ran));
        String::from_utf8(ran.stdout).unwrap()
    }
}

/// The manager's config.
pub(crate) const MANAGER: &str = "conf/manager/release_manager_template";
/// How the builder builds `template`.
pub(crate) const RECIPE: &str = "conf/builder/release_builder_template";
/// How the installer installs it.
pub(crate) const BEHAVIOUR: &str = "conf/target/test/install_behavior_template";

/// A text of JSON; nothing where it is none.
pub(crate) fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What a program printed.
pub(crate) fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// A file, or why there is none.
pub(crate) fn file(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| e.to_string())
}

/// What an installer put there: the page of the sample.
pub(crate) fn page(installer: &Service) -> String {
    file(&installer.at("install_base/template/index.html"))
}
