//! What cannot be done: each with its status, its message and its history; and faults.

use serde_json::{Value, json};

use crate::service::Form;
use crate::world::{MANAGER, RECIPE, World};

/// A manager that knows more than its agents can do.
fn world() -> (World, Vec<crate::service::Service>) {
    let world = World::new(Form::Yaml);
    let mut manager = world.manager();
    let project = "conf/project/project_definition_";
    manager.write(&format!("{project}unbuilt.yaml"), "targets: [template]\n");
    manager.write(
        &format!("{project}wide.yaml"),
        "targets: [template, second, third]\n",
    );
    manager.edit(
        MANAGER,
        "#environments:\n#  prod: {from: qa}",
        "environments:\n  prod: {from: test}",
    );
    let mut builder = world.generate("builder", "builder");
    builder.edit(RECIPE, "#version: auto", "version: {file: VERSION}");
    builder.write("svn_checkout/template/VERSION", "1.0\n");
    let recipe = crate::world::file(&builder.at(&format!("{RECIPE}.yaml")));
    let recipe = recipe.replace("name: template", "name: wide");
    builder.write("conf/builder/release_builder_wide.yaml", &recipe);
    let mut installer = world.generate("installer", "i01");
    installer.edit(
        "conf/installer/release_installer_template",
        "test: [template]",
        "test: [template, second]\n  prod: [template]",
    );
    for (environment, target) in [("test", "second"), ("prod", "template")] {
        installer.write(
            &format!("conf/target/{environment}/named_target_{target}.yaml"),
            "{install_behavior: put, install_path: install_base/other/}",
        );
        installer.write(
            &format!("conf/target/{environment}/install_behavior_put.yaml"),
            "klass: put_file\n",
        );
    }
    world.up(&mut manager);
    builder.start();
    installer.start();
    world.registered(2);
    (world, vec![manager, builder, installer])
}

#[test]
fn rejections_tell_why() {
    let (world, _services) = world();
    let build = world.request(&json!({"project": "template", "action": "build", "trunk": true}));
    world.becomes(&build, "BUILD_COMPLETED");
    let install = |more: Value| {
        let mut data = json!({"project": "template", "action": "install", "env": "test"});
        let more = more.as_object().unwrap().clone();
        data.as_object_mut().unwrap().extend(more);
        data
    };
    let to_prod = install(json!({"env": "prod", "release": "template@1.0"}));
    let cases = [
        install(json!({"project": "tmplate"})),
        install(json!({"env": "tset"})),
        install(json!({"action": "instal"})),
        install(json!({"project": "unbuilt"})),
        install(json!({"project": "wide"})),
        json!({"project": "template", "action": "install"}),
        install(json!({"trunk": true, "tag": "v1.0"})),
        install(json!({"branch": "a", "tag": "v1.0", "url": "b"})),
        install(json!({"components": ["second"]})),
        to_prod.clone(),
        install(json!({"env": "prod", "trunk": true})),
        install(json!({"release": "template@2.0"})),
        install(json!({"release": "wide@1.0"})),
    ];
    let mut all: Vec<String> = cases.iter().map(|data| told(&world, data)).collect();
    // Where it must have been it may go on from.
    world.installed(&json!({"release": "template@1.0"}));
    let id = world.request(&to_prod);
    assert_eq!(world.ended(&id), "INSTALL_COMPLETED");
    let answer = world.post(
        "releases/template/1.0/reject",
        &json!({"reason": "it loses mail"}),
    );
    assert_eq!(answer.status, 200, "{}", answer.body);
    all.push(told(&world, &install(json!({"release": "template@1.0"}))));
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn wrong_calls_are_faults() {
    let (world, _services) = world();
    let script = r#"
import http.client
from xmlrpc.client import Fault, ProtocolError, ServerProxy, loads
relman = ServerProxy("http://localhost:10000")
def show(what, call):
    try:
        print(what, "->", call())
    except Fault as fault:
        print(what, "->", fault.faultCode, fault.faultString)
    except ProtocolError as error:
        print(what, "->", error)
for what in [dict(), dict(project=3), dict(project="../x"), dict(project="template", trunk="yes"),
             dict(project="template", env=["test"]), dict(project="template", components=[1]),
             dict(project="template", revision=True)]:
    show(what, lambda: relman.request_action({}, what))
show("no request_data", lambda: relman.request_action({}))
show("credentials", lambda: relman.request_action("me", {}))
show("three", lambda: relman.request_action({}, {}, {}))
show("method", lambda: relman.nothing({}, {}))
show("transaction", lambda: relman.query_transaction("01h00000000000000000000000"))
show("no id", lambda: relman.transaction_history({}, {}))
for body in ["", "<methodCall>", "<methodCall><methodName>x</methodName><params><param><value><int>a</int></value></param></params></methodCall>",
             "<!DOCTYPE a [<!ENTITY b 'c'>]><methodCall><methodName>&b;</methodName></methodCall>",
             "<methodCall><methodName>x</methodName></methodCall>" + "a" * (1 << 20)]:
    link = http.client.HTTPConnection("localhost", 10000)
    link.request("POST", "/RPC2", body, {"Content-Type": "text/xml"})
    answer = link.getresponse()
    show(body[:40] + " " + str(answer.status), lambda: loads(answer.read()))
"#;
    let said = world.python(&script.replace("10000", &world.port.to_string()));
    insta::assert_snapshot!(said);
    // None of them is a transaction.
    assert_eq!(world.get("transactions"), json!([]));
}

fn told(world: &World, data: &Value) -> String {
    let id = world.request(data);
    let detail = world.get(&format!("transactions/{id}"));
    format!(
        "{data}\n{}: {}\n{}\n",
        detail["status"],
        detail["why"],
        world.story(&id)
    )
}

/// `users`: ann, whose password is `secret`, may build, look, and install into `test`.
const USERS: &str = r#"
name: house
klass: users
package: windlass.auth
users:
  ann: {password: "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0$WHwbVkQ5XzAMaltcqwxy+X9v0VxYTVTjS9BRTrowawM", roles: [deployer]}
roles:
  deployer: [{actions: [build, query]}, {actions: [install], environments: [test]}]
"#;

#[test]
fn who_may_not_is_rejected_and_who_is_unknown_gets_a_fault() {
    let world = World::new(Form::Yaml);
    let mut manager = world.manager();
    manager.edit(
        MANAGER,
        "logging_level: info",
        "logging_level: info\nauth: house",
    );
    manager.write("conf/plugins/auth/plugin_auth_house.yaml", USERS);
    let mut builder = world.generate("builder", "builder");
    let mut installer = world.generate("installer", "i01");
    installer.edit(
        "conf/installer/release_installer_template",
        "test: [template]",
        "test: [template]\n  prod: [template]",
    );
    for file in ["named_target", "install_behavior"] {
        let of_test = installer.at(&format!("conf/target/test/{file}_template.yaml"));
        let text = crate::world::file(&of_test);
        installer.write(&format!("conf/target/prod/{file}_template.yaml"), &text);
    }
    world.up(&mut manager);
    builder.start();
    installer.start();
    manager.says("registration from builder");
    manager.says("registration from installer");
    let script = r#"
from xmlrpc.client import Fault, ServerProxy
relman = ServerProxy("http://localhost:10000")
ann = dict(username="ann", password="secret")
def show(what, call):
    try:
        print(what, "->", call())
    except Fault as fault:
        print(what, "->", fault.faultCode, fault.faultString)
request = dict(project="template", trunk=True, action="install", env="test")
for who in [dict(), dict(username="ann", password="wrong"), dict(username="bob", password="secret")]:
    show("request", lambda: relman.request_action(who, request))
    show("list", lambda: relman.list_transactions(who, {}))
show("query", lambda: relman.query_transaction("01h00000000000000000000000"))
show("none of them is recorded", lambda: relman.list_transactions(ann, {}))
def end(id):
    while True:
        status = relman.query_transaction(ann, dict(transaction=id))
        if status not in ("STARTED", "BUILD_COMPLETED"):
            return status
print(end(relman.request_action(ann, request)))
id = relman.request_action(ann, dict(request, env="prod"))
print(end(id))
for entry in relman.transaction_history(ann, dict(transaction=id)):
    print(entry["actor"], entry["what"], entry["detail"])
show("cancel", lambda: relman.cancel_transaction(ann, dict(transaction=id)))
show("reload", lambda: relman.reload(ann, {}))
by_http = ServerProxy("http://ann:secret@localhost:10000")
print(by_http.query_transaction(id))
"#;
    let said = world.python(&script.replace("10000", &world.port.to_string()));
    insta::assert_snapshot!(said);
    assert!(manager.said().contains("wrong credentials of"));
    assert!(!manager.said().contains("secret"));
}
