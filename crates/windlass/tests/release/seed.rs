//! The seed's session, word for word: only the import line and the port differ.

use serde_json::json;
use windlass_testkit::databases::{Kind, Server};

use crate::over_ssh::versions;
use crate::service::{Form, Service, list};
use crate::sources;
use crate::world::{MANAGER, RECIPE, World, page};

/// What the seed types, and then its question again and again; prints each status once, in order.
fn session(world: &World) -> String {
    let script = r#"
from xmlrpc.client import ServerProxy
relman_url = "http://localhost:10000"
relman = ServerProxy(relman_url)
credentials = dict(username = 'relman_test', password = 'relman_test') 
request_data = dict(project = 'template', trunk=True, action="install", env="test")
trans_id = relman.request_action(credentials, request_data)
seen = []
while len(seen) < 200000 and seen[-1:] not in (['INSTALL_COMPLETED'], ['BUILD_FAILED'], ['INSTALL_FAILED'], ['REJECTED'], ['UNKNOWN']):
    status = relman.query_transaction(trans_id)
    if status not in seen:
        seen.append(status)
print(*seen)
assert relman.query_transaction(credentials, dict(transaction=trans_id)) == seen[-1]
history = relman.transaction_history(credentials, dict(transaction=trans_id))
print(*[entry['what'] for entry in history if entry['what'] not in ('leased', 'started', 'installed')], sep=', ')
print(len([entry for entry in history if entry['what'] == 'installed']))
print(*sorted(row['agent'] + ' ' + row['host'] for row in relman.where({}, dict(project='template'))), sep=', ')
"#;
    world.python(&script.replace("10000", &world.port.to_string()))
}

const DONE: &str = "STARTED BUILD_COMPLETED INSTALL_COMPLETED
requested, build completed, install planned, ended";

/// No job left anything.
fn nothing_is_left(builder: &Service, installers: &[Service]) {
    let keeps = [
        "groups",
        "jobs",
        "locks",
        "logs",
        "managers",
        "resources",
        "state",
    ];
    let services = installers.iter().chain([builder]);
    for service in services {
        let left = service.list("work");
        let left: Vec<_> = left
            .iter()
            .filter(|n| !keeps.contains(&n.as_str()))
            .collect();
        assert!(left.is_empty(), "{left:?}");
        for folder in ["jobs", "logs", "resources"] {
            assert!(list(&service.at("work").join(folder)).is_empty());
        }
    }
}

#[test]
fn as_generated_in_both_forms() {
    for form in [Form::Yaml, Form::Xml] {
        let world = World::new(form);
        let (_manager, builder, installers) = world.all(1);
        let said = session(&world);
        assert_eq!(said, format!("{DONE}\n1\ni01 local\n"), "{form:?}");
        let source = crate::world::file(&builder.at("svn_checkout/template/site/index.html"));
        assert_eq!(page(&installers[0]), source);
        nothing_is_left(&builder, &installers);
        let row = &world.get("installed")[0];
        let version = row["release"].as_str().unwrap().split_once('@').unwrap().1;
        let told = json!([{"environment": "test", "target": "template", "host": "local", "version": version}]);
        assert_eq!(versions(&installers[0], &[]), told);
        let reset = versions(
            &installers[0],
            &["--env", "test", "--target", "template", "--reset"],
        );
        assert_eq!(reset[0]["version"], json!(null));
        assert_eq!(
            world.post("prune", &json!({"days": 1})).json(),
            json!({"entries": 0})
        );
        assert_eq!(
            world.post("prune", &json!({"days": 0})).json(),
            json!({"entries": 9})
        );
    }
}

/// The session and each way to name a source, with a repository in the place of the sample.
fn from(kind: &str, form: Form) {
    let world = World::new(form);
    let (manager, mut builder, installers) = world.all(1);
    let at = world.path().join("repository");
    let (url, first) = match kind {
        "git" => sources::git(&at),
        _ => sources::svn(&at),
    };
    builder.kill();
    let (old, new) = match form {
        Form::Yaml => (
            "directory: svn_checkout/template".to_owned(),
            format!("{kind}: \"{url}\""),
        ),
        Form::Xml => (
            "<directory>svn_checkout/template</directory>".to_owned(),
            format!("<{kind}>{url}</{kind}>"),
        ),
    };
    builder.edit(RECIPE, &old, &new);
    builder.start();
    builder.says("registered with");
    let said = session(&world);
    assert_eq!(said, format!("{DONE}\n1\ni01 local\n"));
    assert_eq!(page(&installers[0]), "trunk");
    for (wanted, text) in [
        (json!({"tag": "v1.0"}), "first"),
        (json!({"branch": "next"}), "next"),
        (json!({"trunk": true, "revision": first}), "first"),
        (json!({}), "trunk"),
    ] {
        world.installed(&wanted);
        assert_eq!(page(&installers[0]), text, "{wanted}");
    }
    let releases = world.get("releases");
    let versions: Vec<_> = releases.as_array().unwrap().iter().collect();
    assert!(
        versions.iter().any(|r| r["release"] == "template@v1.0"),
        "{releases}"
    );
    nothing_is_left(&builder, &installers);
    drop(manager);
}

#[test]
fn from_git() {
    from("git", Form::Yaml);
}

#[test]
fn from_svn() {
    from("svn", Form::Xml);
}

/// The session on a database that `plugin_persist_*` names.
fn on(kind: Kind, form: Form, plugin: &str) {
    let mut server = Server::start(kind).unwrap();
    let url = server.database("windlass").unwrap();
    let world = World::new(form);
    let mut manager = world.manager();
    match form {
        Form::Yaml => manager.edit(MANAGER, "#persist: postgresql", "persist: chosen"),
        Form::Xml => manager.edit(
            MANAGER,
            "</release_manager>",
            "<persist>chosen</persist></release_manager>",
        ),
    }
    let file = format!(
        "conf/plugins/persist/plugin_persist_chosen.{}",
        form.ending()
    );
    manager.write(&file, plugin);
    // It holds a password.
    manager.write("conf/url", &url);
    let mut builder = world.generate("builder", "builder");
    let mut installers = world.installers(1);
    world.up(&mut manager);
    builder.start();
    installers[0].start();
    world.registered(2);
    let said = session(&world);
    assert_eq!(said, format!("{DONE}\n1\ni01 local\n"));
    assert!(!manager.at("work/manager.sqlite").exists());
    manager.kill();
    // Both are started at once, as when their machine is, and the database takes longer.
    server.kill().unwrap();
    manager.start();
    manager.says("the store is waited for");
    server.start_again().unwrap();
    world.registered(2);
    assert_eq!(world.matrix().len(), 1);
    assert_eq!(session(&world), said);
}

#[test]
fn on_postgresql() {
    let plugin =
        "name: chosen\nklass: postgresql\npackage: windlass.persist\nurl: !file conf/url\n";
    on(Kind::Postgres, Form::Yaml, plugin);
}

#[test]
fn on_mariadb_as_the_seed_names_it() {
    let plugin = "<plugin_persist\n  name=\"chosen\"\n  klass=\"MysqlTables\"\n  package=\"releasemanager.persist.mysql_tables\"\n  >\n  <url secret=\"file:conf/url\"/>\n</plugin_persist>\n";
    on(Kind::MariaDb, Form::Xml, plugin);
}

#[test]
fn ten_installers_get_one_blob_and_one_that_is_away_fails_alone() {
    let world = World::new(Form::Yaml);
    let (url, _) = sources::git(&world.path().join("repository"));
    let mut manager = world.manager();
    manager.edit(MANAGER, "#install_deadline: 600", "install_deadline: 2");
    let mut builder = world.generate("builder", "builder");
    builder.edit(
        RECIPE,
        "directory: svn_checkout/template",
        &format!("git: \"{url}\""),
    );
    let mut installers = world.installers(10);
    world.up(&mut manager);
    builder.start();
    installers.iter_mut().for_each(Service::start);
    world.registered(11);
    let said = session(&world);
    let rows: Vec<_> = (1..=10).map(|n| format!("i{n:02} local")).collect();
    assert_eq!(said, format!("{DONE}\n10\n{}\n", rows.join(", ")));
    for installer in &installers {
        assert_eq!(page(installer), "trunk");
    }
    nothing_is_left(&builder, &installers);
    let before = world.matrix();

    installers[6].kill();
    let id = world.install(&json!({"tag": "v1.0"}));
    assert_eq!(world.ended(&id), "INSTALL_FAILED");
    let why = world.get(&format!("transactions/{id}"))["why"].to_string();
    assert!(
        why.contains("i07") && why.contains("before its deadline"),
        "{why}"
    );
    assert_eq!(world.count(&id, "installed"), 9);
    let after = world.matrix();
    for (n, installer) in installers.iter().enumerate() {
        let (text, row) = match n {
            6 => ("trunk", before[6].clone()),
            n => ("first", format!("i{:02} template@v1.0", n + 1)),
        };
        assert_eq!((page(installer), &after[n]), (text.to_owned(), &row));
    }
}
