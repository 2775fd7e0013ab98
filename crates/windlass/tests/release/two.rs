//! Two managers on one machine, whose projects share a target, and agents that work for both.

use std::fs;

use serde_json::json;

use crate::service::Form;
use crate::world::{World, free_port, page};

#[test]
fn two_projects_over_two_managers_with_one_builder() {
    let mut world = World::new(Form::Yaml);
    let first = world.port;
    let mut one = world.generate("manager", "one");
    world.port = free_port_but(first);
    let second = world.port;
    let mut two = world.generate("manager", "two");
    // The second manager's project is another one, with the same target and one more.
    let project = "conf/project/project_definition_";
    fs::remove_file(two.at(&format!("{project}template.yaml"))).unwrap();
    two.write(
        &format!("{project}shop.yaml"),
        "targets: [template, extra]\n",
    );
    let both = format!("managers: [\"http://localhost:{first}\", \"http://localhost:{second}\"]");
    let one_of_them = format!("managers: [\"http://localhost:{second}\"]");
    let mut builder = world.generate("builder", "builder");
    builder.edit("conf/builder/build_host_template", &one_of_them, &both);
    builder.write(
        "conf/builder/release_builder_shop.yaml",
        "klass: directory\nvcs: {directory: svn_checkout/shop}\ntargets: {template: {from: site}, extra: {from: more}}\n",
    );
    builder.write("svn_checkout/shop/site/index.html", "shop");
    builder.write("svn_checkout/shop/more/extra.txt", "extra");
    let mut installer = world.generate("installer", "i01");
    installer.edit(
        "conf/installer/release_installer_template",
        &one_of_them,
        &both,
    );
    installer.edit(
        "conf/installer/release_installer_template",
        "test: [template]",
        "test: [template, extra]",
    );
    installer.write(
        "conf/target/test/named_target_extra.yaml",
        "{install_behavior: template, install_path: install_base/extra}",
    );
    builder.start();
    installer.start();
    for (port, manager) in [(first, &mut one), (second, &mut two)] {
        world.port = port;
        world.up(manager);
        world.registered(2);
    }
    // Both at once: the agents have one slot each.
    world.port = first;
    let template = world.install(&json!({"trunk": true}));
    world.port = second;
    let request = json!({"project": "shop", "action": "install", "env": "test", "trunk": true});
    let shop = world.request(&request);
    assert_eq!(
        world.ended(&shop),
        "INSTALL_COMPLETED",
        "{}",
        world.story(&shop)
    );
    world.port = first;
    assert_eq!(
        world.ended(&template),
        "INSTALL_COMPLETED",
        "{}",
        world.story(&template)
    );
    assert_eq!(world.matrix().len(), 1);
    world.port = second;
    assert_eq!(world.matrix().len(), 2);
    assert_eq!(
        crate::world::file(&installer.at("install_base/extra/extra.txt")),
        "extra"
    );
    // One at a time: the last one's is there.
    let again = world.request(&request);
    assert_eq!(world.ended(&again), "INSTALL_COMPLETED");
    assert_eq!(page(&installer), "shop");
    // Each manager knows its own project only.
    let wrong = world.install(&json!({"trunk": true}));
    assert_eq!(world.status(&wrong), "REJECTED");
}

fn free_port_but(other: u16) -> u16 {
    let _taken = std::net::TcpListener::bind(("127.0.0.1", other)).unwrap();
    free_port()
}
