//! Tests of configs.

use insta::assert_snapshot;

use super::rolling::{Check, ControlKind, RollingConfig, Socket};
use super::*;

fn load(text: &str) -> Result<(RollingConfig, Diagnostics), Diagnostics> {
    let (config, mut warnings) = read(&Source::new("windlass.yaml", text), &Map::default())?;
    let (rolling, more) = RollingConfig::read(&config)?;
    warnings.extend(more);
    Ok((rolling, warnings))
}

fn good(text: &str) -> RollingConfig {
    let (rolling, warnings) = load(text).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(warnings.to_string(), "");
    rolling
}

fn told(text: &str) -> String {
    match load(text) {
        Ok((_, warnings)) => format!("no error\n{warnings}"),
        Err(errors) => errors.to_string(),
    }
}

const SMALLEST: &str = r#"
platform: rolling
hostgroup: {app: [app1, app2, app3]}
service:
  shop: {hosts: [app], control: {runit: shop}, check: "http://127.0.0.1:8080/healthz"}
"#;

#[test]
fn the_smallest_config_has_the_documented_defaults() {
    let config = good(SMALLEST);
    assert_eq!(config.deploy_concurrency, Share::Count(1));
    assert_eq!(config.deploy_concurrency_per_host, 1);
    assert_eq!(config.non_deploy_concurrency, Share::Count(10));
    assert_eq!(config.non_deploy_concurrency_per_host, 5);
    assert_eq!(
        (config.max_failures, config.keep_versions),
        (Share::Count(0), 5)
    );
    assert_eq!(config.deployment_order, [["shop"]]);
    let shop = config.service("shop").unwrap();
    let hosts: Vec<&str> = shop.hosts.iter().map(|host| host.name.as_str()).collect();
    assert_eq!(hosts, ["app1", "app2", "app3"]);
    assert_eq!(shop.destination, "/opt/tarballs");
    assert_eq!(shop.install_location, "/opt/webapps");
    assert_eq!(shop.unpack_dir, ".unpack");
    assert_eq!((shop.control_timeout, shop.lb_timeout), (60, 60));
    assert_eq!(
        shop.check,
        Some(Check::Url("http://127.0.0.1:8080/healthz".into()))
    );
    let control = shop.control.as_ref().unwrap();
    assert_eq!(
        (&control.kind, control.sudo),
        (&ControlKind::Runit("shop".into()), false)
    );
}

#[test]
fn every_key_is_read() {
    let config = good(
        r#"
platform: rolling
environment: prod
user: deploy
sudo_password: !env SUDO
hostgroup:
  app: {hosts: [app1, app2], lb: front, ssh_key_passphrase: !file /run/key}
lb:
  front: {type: haproxy, host: local, socket: /run/haproxy.sock, user: admin, password: !command [pass, lb]}
  back: {host: lb1, port: 9999}
deployment_order: [shop, [mail, jobs]]
deploy_concurrency: 25%
max_failures: 10%
min_healthy: 50%
ignore_packages: [old]
graphite: {carbon_host: g, metric_prefix: deploy.shop}
service_defaults:
  destination: /srv/in
  control: {systemd: "{service}", sudo: true}
  check: "http://{host}:{port}/"
  shared: [log, data/up]
service:
  shop: {hosts: [app, extra.example.org], port: 8080, lb_timeout: 5, enabled_on_hosts: [app1]}
  mail: {hosts: [app], lb_service: "mail/{host}", check: "test -e /x/{environment} && echo ${HOME} '{print $1}' {{x}}", control_type: daemontools}
  jobs: {hosts: [app1], check: ~, start_command: go, stop_command: halt}
  conf: {hosts: [app1], control: ~, check: ~, properties: true, properties_path: "/etc/{service}/"}
  old: {hosts: [app1], check: ~, migration_command: ./migrate, my_own: [1]}
"#,
    );
    assert_eq!(
        config.deployment_order,
        [vec!["shop"], vec!["mail", "jobs"]]
    );
    assert_eq!(config.deploy_concurrency.limit_of(3), 1);
    assert_eq!(config.max_failures.of(25), 2);
    assert_eq!(config.graphite.as_ref().map(|g| g.carbon_port), Some(2003));
    assert_eq!(
        config.balancers[0].socket,
        Socket::Path("/run/haproxy.sock".into())
    );
    assert_eq!(config.balancers[1].socket, Socket::Port(9999));
    let shop = config.service("shop").unwrap();
    assert_eq!(
        config.balancer(&shop.hosts[0]).map(|lb| lb.name.as_str()),
        Some("front")
    );
    assert_eq!(config.balancer(&shop.hosts[2]), None);
    assert_eq!(shop.control.as_ref().map(|c| c.sudo), Some(true));
    assert_eq!(
        shop.enabled_on_hosts.as_ref().map(|hosts| hosts.len()),
        Some(1)
    );
    assert_eq!(shop.shared, ["log", "data/up"]);
    let kind = |name: &str| {
        config
            .service(name)
            .unwrap()
            .control
            .as_ref()
            .map(|c| c.kind.clone())
    };
    assert_eq!(kind("mail"), Some(ControlKind::Daemontools("mail".into())));
    assert!(matches!(
        kind("jobs"),
        Some(ControlKind::Commands { restart: None, .. })
    ));
    assert_eq!(kind("conf"), None);
    assert_eq!(
        config.service("conf").unwrap().properties_path.as_deref(),
        Some("/etc/{service}")
    );
    assert_eq!(config.service("jobs").unwrap().check, None);
}

#[test]
fn options_override_and_choose() {
    let source = Source::new("windlass.yaml", SMALLEST);
    let options: Map = [
        ("keep_versions", Node::from(2)),
        ("hosts", Node::from(vec!["app2"])),
        ("component", Node::from(vec!["shop_1.tar.gz"])),
    ]
    .into_iter()
    .collect();
    let (config, _) = read(&source, &options).unwrap();
    assert_eq!(
        config.texts("component").unwrap(),
        Some(vec!["shop_1.tar.gz".to_owned()])
    );
    let (rolling, _) = RollingConfig::read(&config).unwrap();
    assert_eq!(rolling.keep_versions, 2);
    assert_eq!(rolling.only_hosts, Some([HostName::new("app2")].into()));
    let wrong: Map = [("hosts", vec!["ap2", "app"]), ("hostgroups", vec!["ap"])]
        .into_iter()
        .collect();
    let (config, _) = read(&source, &wrong).unwrap();
    assert_snapshot!(RollingConfig::read(&config).unwrap_err(), @r#"
error: no group and no service has a host `ap2`
  = key: hosts
  = hint: did you mean `app2`?
error: no group and no service has a host `app`
  = key: hosts
  = hint: it is a hostgroup: choose it by `hostgroups`
error: there is no hostgroup `ap`
  = key: hostgroups
  = hint: did you mean `app`?
"#);
}

#[test]
fn all_errors_come_at_once() {
    assert_snapshot!(told(r#"
platform: rolling
sudo_password: hunter2
hostgroup:
  app: app1
  db: {hosts: [db1, "d b", -x], lb: fornt}
lb: {front: {host: local}, back: {socket: sock}}
deployment_order: [shop, [shpo], shop]
deploy_concurrency: 0
keep_versions: many
graphite: {carbon_port: 0}
service_defaults: {control_timeout: soon, check: "http://{hots}/"}
service:
  shop: {hosts: [app], control: {runit: a, systemd: b}}
  jobs: {control: {start: x}, destination: tmp, shared: [/etc, ../x]}
  mail: {hosts: [], check: x, check_command: y, lb_service: one, properties: true}
  "a/b": {hosts: [app]}
"#), @r#"
error: windlass.yaml:3:16: `sudo_password` must be a reference to a secret, never the secret itself
  |
3 | sudo_password: *******
  |                ^^^^^^^
  = key: sudo_password
  = hint: write `!env NAME`, `!file PATH` or `!command [PROGRAM, ...]`
error: windlass.yaml:5:8: `app` is a string, but a list is wanted
  |
5 |   app: app1
  |        ^^^^
  = key: hostgroup.app
  = hint: write `[app1]`
error: windlass.yaml:6:3: there is no load balancer `fornt`
  |
6 |   db: {hosts: [db1, "d b", -x], lb: fornt}
  |   ^^
  = key: hostgroup.db.lb
  = hint: did you mean `front`?
error: windlass.yaml:6:21: `d b` must not hold blanks or control characters
  |
6 |   db: {hosts: [db1, "d b", -x], lb: fornt}
  |                     ^^^^^
  = key: hostgroup.db.hosts[1]
error: windlass.yaml:6:28: `-x` must not begin with `-`
  |
6 |   db: {hosts: [db1, "d b", -x], lb: fornt}
  |                            ^^
  = key: hostgroup.db.hosts[2]
error: windlass.yaml:7:6: `lb.front` lacks the key `socket` or `port`
  |
7 | lb: {front: {host: local}, back: {socket: sock}}
  |      ^^^^^
  = key: lb.front
  = hint: one of them says where HAProxy's runtime API listens (`stats socket`)
error: windlass.yaml:7:28: `lb.back` lacks the key `host`
  |
7 | lb: {front: {host: local}, back: {socket: sock}}
  |                            ^^^^
  = key: lb.back
  = hint: the host that it runs on, or `local`
error: windlass.yaml:7:43: `socket` is a string, but an absolute path is wanted
  |
7 | lb: {front: {host: local}, back: {socket: sock}}
  |                                           ^^^^
  = key: lb.back.socket
error: windlass.yaml:8:19: `deployment_order` lacks the service `jobs`
  |
8 | deployment_order: [shop, [shpo], shop]
  |                   ^^^^^^^^^^^^^^^^^^^^
  = key: deployment_order
  = hint: name every service, or put it into `ignore_packages`
error: windlass.yaml:8:27: there is no service `shpo`
  |
8 | deployment_order: [shop, [shpo], shop]
  |                           ^^^^
  = key: deployment_order[1][0]
  = hint: did you mean `shop`?
error: windlass.yaml:8:34: the service `shop` stands in `deployment_order` twice
  |
8 | deployment_order: [shop, [shpo], shop]
  |                                  ^^^^
  = key: deployment_order[2]
  = hint: keep one of them
error: windlass.yaml:9:21: `deploy_concurrency` is 0, but a whole number of at least 1, or a share as in `25%`, is wanted
  |
9 | deploy_concurrency: 0
  |                     ^
  = key: deploy_concurrency
error: windlass.yaml:10:16: `keep_versions` is a string, but a whole number of at least 1 is wanted
   |
10 | keep_versions: many
   |                ^^^^
   = key: keep_versions
error: windlass.yaml:11:11: `graphite` lacks the key `carbon_host`
   |
11 | graphite: {carbon_port: 0}
   |           ^^^^^^^^^^^^^^^^
   = key: graphite
error: windlass.yaml:11:11: `graphite` lacks the key `metric_prefix`
   |
11 | graphite: {carbon_port: 0}
   |           ^^^^^^^^^^^^^^^^
   = key: graphite
error: windlass.yaml:11:25: `carbon_port` is 0, but a whole number from 1 to 65535 is wanted
   |
11 | graphite: {carbon_port: 0}
   |                         ^
   = key: graphite.carbon_port
error: windlass.yaml:12:37: `control_timeout` is a string, but a whole number of at least 1 is wanted
   |
12 | service_defaults: {control_timeout: soon, check: "http://{hots}/"}
   |                                     ^^^^
   = key: service_defaults.control_timeout
error: windlass.yaml:12:50: `{hots}` stands for nothing here
   |
12 | service_defaults: {control_timeout: soon, check: "http://{hots}/"}
   |                                                  ^^^^^^^^^^^^^^^^
   = key: service_defaults.check
   = hint: did you mean `{host}`?
error: windlass.yaml:14:33: `control` says more than one way: systemd, runit
   |
14 |   shop: {hosts: [app], control: {runit: a, systemd: b}}
   |                                 ^^^^^^^^^^^^^^^^^^^^^^
   = key: service.shop.control
   = hint: one of {systemd: UNIT}, {runit: DIR}, {daemontools: DIR}, {start: COMMAND, stop: COMMAND}
error: windlass.yaml:15:3: `service.jobs` lacks the key `hosts`
   |
15 |   jobs: {control: {start: x}, destination: tmp, shared: [/etc, ../x]}
   |   ^^^^
   = key: service.jobs
   = hint: hostgroups or hosts, as in `hosts: [app]`
error: windlass.yaml:15:19: `service.jobs.control` lacks the key `stop`
   |
15 |   jobs: {control: {start: x}, destination: tmp, shared: [/etc, ../x]}
   |                   ^^^^^^^^^^
   = key: service.jobs.control
   = hint: `start` needs it beside it
error: windlass.yaml:15:44: `destination` must be an absolute path without `..`
   |
15 |   jobs: {control: {start: x}, destination: tmp, shared: [/etc, ../x]}
   |                                            ^^^
   = key: service.jobs.destination
error: windlass.yaml:15:58: `shared` must be a path below the release: relative, without `..`
   |
15 |   jobs: {control: {start: x}, destination: tmp, shared: [/etc, ../x]}
   |                                                          ^^^^
   = key: service.jobs.shared[0]
error: windlass.yaml:15:64: `shared` must be a path below the release: relative, without `..`
   |
15 |   jobs: {control: {start: x}, destination: tmp, shared: [/etc, ../x]}
   |                                                                ^^^^
   = key: service.jobs.shared[1]
error: windlass.yaml:16:3: `service.mail` lacks the key `properties_path`
   |
16 |   mail: {hosts: [], check: x, check_command: y, lb_service: one, properties: true}
   |   ^^^^
   = key: service.mail
   = hint: where the files of `properties: true` are copied to
error: windlass.yaml:16:17: the service has no hosts: `service.mail.hosts` names none
   |
16 |   mail: {hosts: [], check: x, check_command: y, lb_service: one, properties: true}
   |                 ^^
   = key: service.mail.hosts
error: windlass.yaml:16:31: `check` and `check_command` say the same
   |
16 |   mail: {hosts: [], check: x, check_command: y, lb_service: one, properties: true}
   |                               ^^^^^^^^^^^^^
   = key: service.mail.check_command
   = hint: keep one of them
error: windlass.yaml:16:61: `lb_service` must be `backend/server`, as HAProxy calls them
   |
16 |   mail: {hosts: [], check: x, check_command: y, lb_service: one, properties: true}
   |                                                             ^^^
   = key: service.mail.lb_service
   = hint: as in `shop/{host}`
error: windlass.yaml:17:3: `a/b` cannot be the name of a service
   |
17 |   "a/b": {hosts: [app]}
   |   ^^^^^
   = key: service.a/b
   = hint: it becomes the name of files: letters, digits, `.`, `_`, `-`, `+`, not `.` or `-` at its start
"#);
}

#[test]
fn slips_of_the_pen_are_warned_of() {
    assert_snapshot!(told(r#"
platform: rolling
sudo_pasword: hunter2
deploy_concurency: 2
own_key: 1
hostgroup: {app: {hosts: [a1, a1], lbs: x}, frontend: [f1]}
service:
  shop: {hosts: [frontedn, app1, app], chek: x, ports: [1], control: {runit: x, sudoo: true}}
ignore_packages: [shp]
"#), @r#"
no error
warning: windlass.yaml:3:1: `sudo_pasword` is not a key of Windlass's; it is kept as your own
  |
3 | sudo_pasword: *******
  | ^^^^^^^^^^^^
  = key: sudo_pasword
  = hint: did you mean `sudo_password`?
warning: windlass.yaml:4:1: `deploy_concurency` is not a key of Windlass's; it is kept as your own
  |
4 | deploy_concurency: 2
  | ^^^^^^^^^^^^^^^^^
  = key: deploy_concurency
  = hint: did you mean `deploy_concurrency`?
warning: windlass.yaml:6:31: the host `a1` stands in the group `app` twice
  |
6 | hostgroup: {app: {hosts: [a1, a1], lbs: x}, frontend: [f1]}
  |                               ^^
  = key: hostgroup.app.hosts[1]
warning: windlass.yaml:6:36: `lbs` is not a key of Windlass's; it is kept as your own
  |
6 | hostgroup: {app: {hosts: [a1, a1], lbs: x}, frontend: [f1]}
  |                                    ^^^
  = key: hostgroup.app.lbs
  = hint: did you mean `lb`?
warning: windlass.yaml:8:40: `chek` is not a key of Windlass's; it is kept as your own
  |
8 |   shop: {hosts: [frontedn, app1, app], chek: x, ports: [1], control: {runit: x, sudoo: true}}
  |                                        ^^^^
  = key: service.shop.chek
  = hint: did you mean `check`?
warning: windlass.yaml:8:49: `ports` is not a key of Windlass's; it is kept as your own
  |
8 |   shop: {hosts: [frontedn, app1, app], chek: x, ports: [1], control: {runit: x, sudoo: true}}
  |                                                 ^^^^^
  = key: service.shop.ports
  = hint: did you mean `port`?
warning: windlass.yaml:8:81: `sudoo` is not a key of Windlass's; it is kept as your own
  |
8 |   shop: {hosts: [frontedn, app1, app], chek: x, ports: [1], control: {runit: x, sudoo: true}}
  |                                                                                 ^^^^^
  = key: service.shop.control.sudoo
  = hint: did you mean `sudo`?
warning: windlass.yaml:8:18: `frontedn` is no hostgroup, so it is taken for a host
  |
8 |   shop: {hosts: [frontedn, app1, app], chek: x, ports: [1], control: {runit: x, sudoo: true}}
  |                  ^^^^^^^^
  = key: service.shop.hosts[0]
  = hint: did you mean the hostgroup `frontend`?
warning: windlass.yaml:9:19: `shp` is no service
  |
9 | ignore_packages: [shp]
  |                   ^^^
  = key: ignore_packages
  = hint: did you mean `shop`?
"#);
}

#[test]
fn names_in_braces_are_checked() {
    assert_snapshot!(told(r#"
platform: rolling
service_defaults: {check: "http://{host}:{port}/"}
service:
  shop: {hosts: [a]}
  mail: {hosts: [a], port: 25, install_location: "/opt/{environment}", migration_command: "x {verison}", unpack_dir: "{colour}"}
"#), @r#"
error: windlass.yaml:3:27: `{port}` stands for nothing here, in the service `shop`
  |
3 | service_defaults: {check: "http://{host}:{port}/"}
  |                           ^^^^^^^^^^^^^^^^^^^^^^^
  = key: service_defaults.check
  = hint: give the service a `port`
error: windlass.yaml:6:50: `{environment}` stands for nothing here, in the service `mail`
  |
6 |   mail: {hosts: [a], port: 25, install_location: "/opt/{environment}", migration_command: "x {veriso
  |                                                  ^^^^^^^^^^^^^^^^^^^^
  = key: service.mail.install_location
  = hint: give the config an `environment`
error: windlass.yaml:6:91: `{verison}` stands for nothing here
  |
6 | cation: "/opt/{environment}", migration_command: "x {verison}", unpack_dir: "{colour}"}
  |                                                  ^^^^^^^^^^^^^
  = key: service.mail.migration_command
  = hint: did you mean `{version}`?
error: windlass.yaml:6:118: `{colour}` stands for nothing here
  |
6 | ", migration_command: "x {verison}", unpack_dir: "{colour}"}
  |                                                  ^^^^^^^^^^
  = key: service.mail.unpack_dir
  = hint: known: service, servicename, version, host, hostname, port, environment; write `{{colour}}` for the braces themselves
"#);
}

#[test]
fn load_balancers_are_asked_for() {
    assert_snapshot!(told(r#"
platform: rolling
hostgroup: {app: [a1]}
service:
  shop: {hosts: [app, h1], lb_service: "shop/{host}"}
"#), @r#"
error: windlass.yaml:5:40: the hostgroup `app` has no load balancer for `lb_service`
  |
5 |   shop: {hosts: [app, h1], lb_service: "shop/{host}"}
  |                                        ^^^^^^^^^^^^^
  = key: service.shop.lb_service
  = hint: write `hostgroup.app` as `{hosts: [...], lb: NAME}`
error: windlass.yaml:5:40: the host `h1` has no load balancer for `lb_service`
  |
5 |   shop: {hosts: [app, h1], lb_service: "shop/{host}"}
  |                                        ^^^^^^^^^^^^^
  = key: service.shop.lb_service
  = hint: put it into a hostgroup with `lb: NAME`
"#);
}

#[test]
fn a_config_needs_a_platform() {
    assert_snapshot!(told("user: x\nservice: 7\n"), @r#"
error: windlass.yaml:1:1: the config lacks the key `platform`
  |
1 | user: x
  | ^
  = hint: as in `platform: rolling`
error: windlass.yaml:2:10: `service` is 7, but a map is wanted
  |
2 | service: 7
  |          ^
  = key: service
"#);
    assert_snapshot!(told("- platform\n"), @r#"
error: windlass.yaml:1:1: a config is a map, but here is a list
  |
1 | - platform
  | ^^^^^^^^^^
  = hint: it begins as in `platform: rolling`
"#);
    assert_snapshot!(told("platform: ../x\n"), @r#"
error: windlass.yaml:1:11: `platform` must be a word of letters, digits, `-`, `_` and `.`
  |
1 | platform: ../x
  |           ^^^^
  = key: platform
  = hint: as in `platform: rolling`
"#);
    assert_snapshot!(told("platform: rolling\n"), @r#"
error: windlass.yaml:1:1: the config lacks the key `service`
  |
1 | platform: rolling
  | ^
  = hint: as in `service: {shop: {hosts: [app]}}`
"#);
    assert!(told("").contains("lacks the key `platform`"));
}

#[test]
fn other_platforms_keep_their_own_keys() {
    let text = "platform: test\nhostgroup:\n    frontend:\n    - fe001\n    - fe002\n    backend:\n    - be001\nservice:\n    web1-frontend:\n        hosts: [frontend, other]\n        port: 8080\nanything: {goes: [here]}\n";
    let (config, warnings) = read(&Source::new("test.conf", text), &Map::default()).unwrap();
    assert_eq!((config.platform.as_str(), warnings.0.len()), ("test", 0));
    let hosts: Vec<String> = config
        .hosts()
        .unwrap()
        .iter()
        .map(HostName::to_string)
        .collect();
    assert_eq!(hosts, ["fe001", "fe002", "be001", "other"]);
    assert_eq!(
        config.services().unwrap()[0].get("port").map(|n| &n.value),
        Some(&Value::Int(8080))
    );
}

#[test]
fn expanding_replaces_names_and_nothing_else() {
    let vars = Vars {
        service: "shop",
        version: "1.2",
        hostname: "app1.example.org",
        host: "app1",
        port: Some("80"),
        environment: None,
    };
    let out = |text: &str| expand(text, &vars).map_err(|e| e.hint);
    assert_eq!(
        out("{service}_{version} {host} {hostname}:{port}"),
        Ok("shop_1.2 app1 app1.example.org:80".into())
    );
    assert_eq!(
        out("${service} {} { service } {a-b} '{print $1}'"),
        Ok("${service} {} { service } {a-b} '{print $1}'".into())
    );
    assert_eq!(
        out("{{service}} {{{service}}}"),
        Ok("{service} {shop}".into())
    );
    assert_eq!(
        out("awk '{if (x) {exit 1}}'"),
        Ok("awk '{if (x) {exit 1}}'".into())
    );
    assert_eq!(out("{verison}"), Err("did you mean `{version}`?".into()));
    assert_eq!(
        out("{environment}"),
        Err("give the config an `environment`".into())
    );
    assert_eq!(out("é{"), Ok("é{".into()));
}

#[test]
fn shares_are_numbers_or_percents() {
    let read = |text: &str| Share::read(&Node::from(text));
    assert_eq!(read("25%"), Some(Share::Percent(25)));
    for wrong in ["25", "101%", "-1%", "x%", "%", "1.5%"] {
        assert_eq!(read(wrong), None, "{wrong}");
    }
    assert_eq!(Share::Percent(25).of(10), 2);
    assert_eq!(Share::Percent(25).limit_of(3), 1);
    assert_eq!(Share::Percent(100).of(u32::MAX), u32::MAX);
    assert_eq!(Share::Count(7).of(3), 7);
}

proptest::proptest! {
    #[test]
    fn no_config_makes_the_readers_panic(node in crate::tree::tests::any_node(), key in "hostgroup|service|lb|service_defaults|deployment_order|graphite|hosts") {
        let options: Map = [(key, node)].into_iter().collect();
        if let Ok((config, _)) = read(&Source::new("t", SMALLEST), &options) {
            let _ = RollingConfig::read(&config);
        }
    }

    #[test]
    fn no_template_makes_expanding_panic(text in "[{}a-c$ é]{0,20}") {
        let _ = expand(&text, &Vars::default());
    }
}

#[test]
fn a_service_missing_from_the_order_is_an_error_that_lists_it() {
    assert_snapshot!(told(r#"
platform: rolling
deployment_order: [a]
ignore_packages: [d]
service:
  a: {hosts: [h]}
  b: {hosts: [h]}
  c: {hosts: [h]}
  d: {hosts: [h]}
  e: {hosts: [h], properties: true, properties_path: /etc/e}
"#), @r#"
error: windlass.yaml:3:19: `deployment_order` lacks the services `b`, `c`
  |
3 | deployment_order: [a]
  |                   ^^^
  = key: deployment_order
  = hint: name every service, or put it into `ignore_packages`
"#);
}
