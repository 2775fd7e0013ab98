//! Arguments of a plugin's command.

use serde_json::json;
use windlass_builtins::plugins::{Wanted, load};
use windlass_engine::command::Repeat;

use crate::fakes::{Rig, rig, task};

const COMMAND: &str = "
from deployerlib.command import Command

class Picky(Command):
    repeat = 'safe'
    def initialize(self, port: int, how: str = 'yes'):
        self.log.warning('port %s', port)
        if how == 'raise': raise ValueError('not this')
        if how == 'diagnostics':
            return {'diagnostics': [{'message': 'no port', 'key': 'port', 'hint': '1 to 65535'},
                                    {'message': 'and more', 'key': None, 'hint': None}]}
        if how == 'odd': return {'diagnostics': 7}
        return how == 'yes'
    def execute(self): return True
";

async fn picky() -> Rig {
    let mut rig = rig();
    rig.put("commands/picky.py", COMMAND);
    let wanted = Wanted {
        platform: None,
        commands: ["picky".to_owned()].into(),
    };
    let (plugins, base) = (rig.plugins.clone(), rig.base());
    load(&mut rig.registry, &plugins, &[base], &wanted)
        .await
        .unwrap();
    rig
}

async fn refused(rig: &Rig, args: serde_json::Value) -> String {
    match rig.initialize(&task("picky", args)).await {
        Ok(_) => panic!("it was not refused"),
        Err(wrong) => wrong.to_string(),
    }
}

#[tokio::test]
async fn good_arguments_make_a_command() {
    let rig = picky().await;
    let command = rig
        .initialize(&task("picky", json!({"port": 80})))
        .await
        .unwrap();
    assert_eq!(command.repeat(), Repeat::Safe);
    assert_eq!(command.said()[0].1, "port 80");
}

#[tokio::test]
async fn the_schema_is_checked_before_the_plugin_is_asked() {
    let rig = picky().await;
    let text = refused(&rig, json!({"prot": 80, "how": 7})).await;
    assert!(
        text.contains("prot") && text.contains("port") && text.contains("how"),
        "{text}"
    );
    assert!(text.contains("command `picky`"), "{text}");
}

#[tokio::test]
async fn every_way_to_refuse_is_told() {
    let rig = picky().await;
    let text = refused(&rig, json!({"port": 1, "how": "no"})).await;
    assert!(
        text.contains("command `picky` does not take these arguments"),
        "{text}"
    );
    assert!(
        text.contains("stages[0].tasks[0]") && text.contains("stage \"S\""),
        "{text}"
    );

    let text = refused(&rig, json!({"port": 1, "how": "raise"})).await;
    assert!(
        text.contains("command `picky`: ValueError: not this"),
        "{text}"
    );
    assert!(text.contains("picky.py"), "{text}");

    let text = refused(&rig, json!({"port": 1, "how": "diagnostics"})).await;
    assert!(
        text.contains("no port") && text.contains("stages[0].tasks[0].port"),
        "{text}"
    );
    assert!(
        text.contains("1 to 65535") && text.contains("and more"),
        "{text}"
    );
}

#[tokio::test]
async fn five_hundred_tasks_are_initialized_at_once() {
    let rig = picky().await;
    let tasks: Vec<_> = (0..500)
        .map(|n| task("picky", json!({"port": n})))
        .collect();
    let made = futures_util::future::join_all(tasks.iter().map(|t| rig.initialize(t))).await;
    assert!(made.iter().all(Result::is_ok));
}
