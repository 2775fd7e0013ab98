//! Tests of the release system's configuration.

use insta::assert_snapshot;

use super::*;
use crate::config::Share;
use crate::diagnostic::Diagnostics;

fn document(form: Form, text: &str) -> Result<Document, Diagnostics> {
    let name = match form {
        Form::Yaml => "a.yaml",
        Form::Xml => "a.xml",
    };
    parse(name, text.into(), form)
}

/// Reads both forms of one item; they must say the same.
fn both<T: std::fmt::Debug>(
    read: fn(&Document, &str) -> Read<T>,
    file: &str,
    yaml: &str,
    xml: &str,
) -> T {
    let take = |form, text: &str| {
        let document = document(form, text).unwrap_or_else(|e| panic!("{e}"));
        let (item, warnings) = read(&document, file).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(warnings.to_string(), "");
        item
    };
    take(Form::Xml, xml);
    take(Form::Yaml, yaml)
}

fn told<T>(read: fn(&Document, &str) -> Read<T>, file: &str, form: Form, text: &str) -> String {
    match document(form, text).and_then(|document| read(&document, file)) {
        Ok((_, warnings)) => format!("no error\n{warnings}"),
        Err(faults) => faults.to_string(),
    }
}

fn same<T: std::fmt::Debug + PartialEq>(a: T, b: T) -> T {
    assert_eq!(a, b);
    a
}

fn xml<T>(read: fn(&Document, &str) -> Read<T>, file: &str, text: &str) -> T {
    let document = document(Form::Xml, text).unwrap_or_else(|e| panic!("{e}"));
    read(&document, file).unwrap_or_else(|e| panic!("{e}")).0
}

fn yaml<T>(read: fn(&Document, &str) -> Read<T>, file: &str, text: &str) -> T {
    let document = document(Form::Yaml, text).unwrap_or_else(|e| panic!("{e}"));
    read(&document, file).unwrap_or_else(|e| panic!("{e}")).0
}

#[test]
fn an_empty_manager_has_the_documented_defaults() {
    let manager = both(
        Manager::read,
        "template",
        "",
        "<release_manager name=\"template\"/>",
    );
    assert_eq!(manager.service.name, "template");
    assert_eq!(manager.service.logging.path, "log");
    assert_eq!(
        (manager.listen.address.as_str(), manager.listen.port),
        ("127.0.0.1", 10_000)
    );
    assert_eq!(
        (
            manager.request_limit,
            manager.install_deadline,
            manager.lease
        ),
        (1 << 20, 600, 30)
    );
    assert_eq!((manager.tls, manager.persist), (None, None));
    assert!(!manager.allow_anonymous_remote);
}

#[test]
fn every_key_of_a_manager_is_read_in_both_forms() {
    let of_yaml: Manager = yaml(
        Manager::read,
        "template",
        "name: m1\nklass: ReleaseManager\npackage: windlass.manager\nlogging_path: l\nlogging_level: DEBUG\nlisten_port: 1\nlisten_address: 0.0.0.0\nrequest_limit: 2048\ntls: {certificate: c.pem, key: k.pem}\ninstall_deadline: 5\nlease: 10\nauth: a\npersist: p\nwork_path: w\nallow_anonymous_remote: true\nenvironments: {prod: {from: qa}, qa: ~}\nmine: [1]\n",
    );
    let of_xml: Manager = xml(
        Manager::read,
        "template",
        "<release_manager name='m1' klass='ReleaseManager' package='windlass.manager'><logging_path>l</logging_path><logging_level>DEBUG</logging_level><listen_port>1</listen_port><listen_address>0.0.0.0</listen_address><request_limit>2048</request_limit><tls certificate='c.pem' key='k.pem'/><install_deadline>5</install_deadline><lease>10</lease><auth>a</auth><persist>p</persist><work_path>w</work_path><allow_anonymous_remote>true</allow_anonymous_remote><environments><prod from='qa'/><qa/></environments><mine>1</mine></release_manager>",
    );
    let shown = |m: &Manager| {
        format!(
            "{:?} {:?} {:?} {} {} {} {:?} {} {:?}",
            m.service,
            m.listen,
            m.tls,
            m.request_limit,
            m.install_deadline,
            m.lease,
            m.persist,
            m.allow_anonymous_remote,
            m.environments
        )
    };
    let shown = same(shown(&of_yaml), shown(&of_xml));
    assert_snapshot!(shown);
    assert!(of_yaml.rest.get("mine").is_some());
}

#[test]
fn every_key_of_a_project_is_read_in_both_forms() {
    let of_yaml: ProjectDefinition = yaml(
        ProjectDefinition::read,
        "shop",
        "name: shop\ntargets: [web, static, db]\nactions: {migrate: rolling}\nrollout: {order: [db, [web, static]], batch: 25%, max_failures: 1, on_failure: rollback}\n",
    );
    let of_xml: ProjectDefinition = xml(
        ProjectDefinition::read,
        "shop",
        "<project name='shop'><targets><target>web</target><target>static</target><target>db</target></targets><actions><migrate>rolling</migrate></actions><rollout><order><wave>db</wave><wave><target>web</target><target>static</target></wave></order><batch>25%</batch><max_failures>1</max_failures><on_failure>rollback</on_failure></rollout></project>",
    );
    let shown = |p: &ProjectDefinition| {
        format!(
            "{:?} {:?} {:?} {:?}",
            p.name, p.targets, p.actions, p.rollout
        )
    };
    same(shown(&of_yaml), shown(&of_xml));
    assert_eq!(of_yaml.rollout.batch, Some(Share::Percent(25)));
    assert_eq!(of_yaml.rollout.order.len(), 2);
    assert_eq!(of_yaml.rollout.on_failure, OnFailure::Rollback);
    let single: ProjectDefinition = xml(
        ProjectDefinition::read,
        "t",
        "<p><targets>only</targets></p>",
    );
    assert_eq!(single.targets.len(), 1);
}

#[test]
fn builders_are_read_in_both_forms() {
    let host = both(
        BuildHost::read,
        "template",
        "managers: [\"http://a:1\", \"https://b\"]\nslots: 3\ntoken: !env T\narchive_path: out\nlimits: {time: 5}\n",
        "<build_host><managers><manager>http://a:1</manager><manager>https://b</manager></managers><slots>3</slots><token secret='env:T'/><archive_path>out</archive_path><limits time='5'/></build_host>",
    );
    assert_eq!(host.agent.managers, ["http://a:1", "https://b"]);
    assert_eq!((host.agent.slots, host.archive_path.as_str()), (3, "out"));
    assert_eq!((host.limits.time, host.limits.output), (5, 64 << 20));
    let none = both(BuildHost::read, "template", "", "<build_host/>");
    assert_eq!(none.agent.managers, ["http://localhost:10000"]);

    let builder = both(
        ReleaseBuilder::read,
        "template",
        "klass: TemplateBuildBehavior\npackage: builder.template\nvcs: {git: \"https://h/r.git\", username: u, password: !env P, externals: true}\nversion: {file: VERSION}\nresources: {template: site}\n",
        "<release_builder name='template' klass='TemplateBuildBehavior' package='builder.template'><vcs><git>https://h/r.git</git><username>u</username><password secret='env:P'/><externals>true</externals></vcs><version><file>VERSION</file></version><resources><template>site</template></resources></release_builder>",
    );
    assert_eq!(
        builder.code.files(),
        Some([
            "builder/template".to_owned(),
            "builder/template.py".to_owned()
        ])
    );
    assert_eq!(builder.version, VersionFrom::File("VERSION".into()));
    assert_eq!(builder.vcs.as_ref().map(|v| v.kind), Some(VcsKind::Git));
    assert_eq!(builder.settings.json()["resources"]["template"], "site");
}

#[test]
fn installers_are_read_in_both_forms() {
    let installer = both(
        ReleaseInstaller::read,
        "template",
        "environments: {test: [template], qa: []}\n",
        "<release_installer><environments><test><target>template</target></test><qa/></environments></release_installer>",
    );
    assert_eq!(installer.environments.len(), 2);
    let target = both(
        NamedTarget::read,
        "template",
        "install_behavior: template\ninstall_path: install_base/template\n",
        "<named_target name='template'><install_behavior>template</install_behavior><install_path>install_base/template</install_path></named_target>",
    );
    assert_eq!(target.install_path, "install_base/template");
    let behavior = both(
        InstallBehavior::read,
        "template",
        "klass: ReleaseSymlink\nkeep: 3\n",
        "<install_behavior name='template' klass='release_symlink' package='windlass.install'><keep>3</keep></install_behavior>",
    );
    assert_eq!(behavior.code, Code::BuiltIn("release_symlink".into()));
}

#[test]
fn settings_of_xml_fit_the_shape_of_their_code() {
    let behavior: InstallBehavior = xml(
        InstallBehavior::read,
        "t",
        "<i klass='x'><keep>3</keep><sudo>true</sudo><name_of>007</name_of><shared><path>log</path></shared><hosts>a</hosts><env><A>1</A></env></i>",
    );
    let shape = crate::shape::Shape::new(&serde_json::json!({"type": "object", "properties": {
        "keep": {"type": ["integer", "null"]}, "sudo": {"type": "boolean"}, "name_of": {"type": "string"},
        "shared": {"type": "array", "items": {"type": "string"}}, "hosts": {"anyOf": [{"type": "array"}, {"type": "null"}]},
        "env": {"type": "object", "additionalProperties": {"type": "integer"}}}}));
    let fitted = crate::tree::Node::from(behavior.settings.fitted(&shape));
    assert_eq!(
        crate::tree::to_json(&fitted),
        serde_json::json!({"keep": 3, "sudo": true, "name_of": "007", "shared": ["log"], "hosts": ["a"], "env": {"A": 1}})
    );
}

#[test]
fn plugins_are_read_in_both_forms() {
    let auth = both(
        AuthPlugin::read,
        "simpleauth",
        "klass: SimpleAuth\npackage: plugins.auth.simpleauth\n",
        "<plugin_auth name='simpleauth' klass='SimpleAuth' package='plugins.auth.simpleauth'/>",
    );
    assert!(matches!(auth.code, AuthCode::Own(_)));
    let persist = both(
        PersistPlugin::read,
        "db",
        "klass: PostgreSQL\npackage: windlass.persist\nurl: !env DB\n",
        "<plugin_persist name='db' klass='postgresql'><url secret='env:DB'/></plugin_persist>",
    );
    assert_eq!(persist.database, Database::Postgresql);
    let seed: PersistPlugin = xml(
        PersistPlugin::read,
        "mysql",
        "<p klass='make_tables' package='releasemanager.persist.mysql_tables'><url>mysql://u@h/d</url></p>",
    );
    assert_eq!(seed.database, Database::Mysql);
}

#[test]
fn names_of_classes_are_names() {
    for (klass, name) in [
        ("release_symlink", "release_symlink"),
        ("ReleaseSymlink", "release_symlink"),
        ("UnarchiveInstallBehavior", "unarchive"),
        ("Unarchive", "unarchive"),
        ("PutFile", "put_file"),
        ("HTTPThing2Go", "http_thing2_go"),
    ] {
        assert_eq!(snake(klass), name);
    }
}

#[test]
fn faults_of_a_file_come_all_at_once() {
    let all = [
        told(
            Manager::read,
            "template",
            Form::Yaml,
            "name: a b\nlogging_level: loud\nlisten_port: 99999\nlisten_prt: 1\ntls: {certificate: c, kee: k}\nallow_anonymous_remote: 1\nlease: ten\nenvironments: {qa: {from: dev}, dev: {from: qa}, -x: ~, a: 1}\n",
        ),
        told(
            Manager::read,
            "template",
            Form::Xml,
            "<release_manager name='a b'>\n<logging_level>loud</logging_level>\n<listen_port>99999</listen_port>\n<tls certificate='c' kee='k'/>\n<lease>ten</lease>\n</release_manager>",
        ),
        told(
            ProjectDefinition::read,
            "shop",
            Form::Yaml,
            "name: other\ntargets: [a, a, b/c]\nactions: {install: x}\nrollout: {order: [z, a, a], batch: 0, on_failure: cry, max: 1}\n",
        ),
        told(
            ProjectDefinition::read,
            "shop",
            Form::Xml,
            "<p><targts>a</targts></p>",
        ),
        told(
            BuildHost::read,
            "h",
            Form::Yaml,
            "managers: [localhost, \"http://a/x\", \"http://a:0\"]\nlisten_port: 9\ntoken: hunter2\nslots: 0\n",
        ),
        told(
            ReleaseBuilder::read,
            "p",
            Form::Yaml,
            "package: windlass.install\nklass: x\nvcs: {git: \"https://u:hunter2@h/r\", svn: x, password: hunter2}\nversion: best\n",
        ),
        told(
            ReleaseBuilder::read,
            "p",
            Form::Xml,
            "<r package='a..b' klass='C'><vcs/></r>",
        ),
        told(ReleaseInstaller::read, "i", Form::Yaml, "slots: 2\n"),
        told(
            ReleaseInstaller::read,
            "i",
            Form::Yaml,
            "environments: {te/st: [a], test: webapp, dev: [a, a]}\n",
        ),
        told(
            NamedTarget::read,
            "t",
            Form::Xml,
            "<named_target name='t'/>",
        ),
        told(
            InstallBehavior::read,
            "t",
            Form::Xml,
            "<install_behavior name='t'/>",
        ),
        told(AuthPlugin::read, "t", Form::Yaml, "klass: Usrs\n"),
        told(
            PersistPlugin::read,
            "t",
            Form::Yaml,
            "klass: oracle\npackage: windlass.persist\n",
        ),
        told(
            PersistPlugin::read,
            "t",
            Form::Yaml,
            "klass: mysql\nurl: mysql://u:hunter2@h/d\n",
        ),
        told(PersistPlugin::read, "t", Form::Yaml, "klass: mysql\n"),
        told(Manager::read, "t", Form::Yaml, "[1]"),
        told(Manager::read, "t", Form::Xml, "<a>text</a>"),
    ];
    let all = all.join("\n---\n");
    assert!(!all.contains("hunter2"), "{all}");
    assert_snapshot!(all);
}
