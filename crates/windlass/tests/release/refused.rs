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
