//! What a plugin's command does, and what it does to a host.

use serde_json::json;
use windlass_builtins::plugins::{Wanted, load};
use windlass_engine::command::Command;
use windlass_model::outcome::{Failure, FailureKind, Outcome};
use windlass_model::step::{As, PutSource, Reply, Step, Want};

use crate::fakes::{FakeHands, Rig, rig, run, task};

const COMMAND: &str = "
import os, time
from deployerlib.command import Command
from deployerlib.exceptions import DeployerException

class Act(Command):
    def initialize(self, how: str):
        return True
    def execute(self):
        host = self.remote_host
        if self.how == 'all':
            put = host.put_remote('f.txt', '/opt/x/')
            there = host.file_exists(\"/opt/it's\")
            gone = host.file_exists('/gone')
            result = host.execute_remote('id', use_sudo=True)
            self.log.info('%s %s %s %s %s %s' % (put, there, gone, result, result.status, result.failed))
            return True
        if self.how == 'ask': return host.execute_remote('x')
        if self.how == 'catch':
            try: host.execute_remote('x')
            except DeployerException as e: self.log.info('caught %s' % e)
            return True
        if self.how == 'raise': raise ValueError('two\\nlines')
        if self.how == 'die': os._exit(7)
        if self.how == 'exit in silence': os.kill(os.getpid(), 9)
        if self.how == 'none': return None
        if self.how == 'loop': time.sleep(60)
        return False
";

async fn act() -> Rig {
    let mut rig = rig();
    rig.put("commands/act.py", COMMAND);
    let wanted = Wanted {
        platform: None,
        commands: ["act".to_owned()].into(),
    };
    let (plugins, base) = (rig.plugins.clone(), rig.base());
    load(&mut rig.registry, &plugins, &[base], &wanted)
        .await
        .unwrap();
    rig
}

async fn command(rig: &Rig, how: &str) -> Box<dyn Command> {
    rig.initialize(&task("act", json!({"how": how})))
        .await
        .unwrap()
}

fn ran(status: i32, stdout: &str) -> Result<Reply, Failure> {
    Ok(Reply::Ran {
        status,
        stdout: stdout.into(),
        stderr: String::new(),
    })
}

#[tokio::test]
async fn what_it_does_to_the_host_are_steps() {
    let rig = act().await;
    let mut hands = FakeHands::answering(vec![
        Ok(Reply::Put {
            sent: true,
            bytes: 1,
        }),
        ran(0, ""),
        ran(1, ""),
        ran(3, "uid=0\n"),
    ]);
    let verdict = run(&*command(&rig, "all").await, &mut hands).await.unwrap();
    assert_eq!(verdict.outcome, Outcome::Changed);
    assert_eq!(
        hands.logged,
        ["Info Act: ['/opt/x/f.txt'] True False uid=0\n 3 True"]
    );
    let Step::Put(put) = &hands.steps[0] else {
        panic!("{:?}", hands.steps[0]);
    };
    assert_eq!((put.to.as_str(), put.replace), ("/opt/x/f.txt", true));
    let PutSource::File { path, .. } = &put.source else {
        panic!("{put:?}");
    };
    let here = rig.base().canonicalize().unwrap().join("f.txt");
    assert_eq!(
        path.parent().unwrap().canonicalize().unwrap(),
        here.parent().unwrap()
    );
    let runs: Vec<_> = hands.steps[1..]
        .iter()
        .map(|step| match step {
            Step::Run(run) => (run.script.as_str(), run.user.clone(), run.want.clone()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        runs,
        [
            (r"test -e '/opt/it'\''s'", As::Login, Want::Any),
            ("test -e /gone", As::Login, Want::Any),
            ("id", As::root(), Want::Any),
        ]
    );
}

#[tokio::test]
async fn what_execute_remote_gave_is_the_output() {
    let rig = act().await;
    let mut hands = FakeHands::answering(vec![ran(0, "fine\n")]);
    let verdict = run(&*command(&rig, "ask").await, &mut hands).await.unwrap();
    assert_eq!(verdict.output.as_deref(), Some("fine\n"));
    let mut hands = FakeHands::answering(vec![ran(1, "not\nfine\n")]);
    let verdict = run(&*command(&rig, "ask").await, &mut hands).await.unwrap();
    assert_eq!(
        verdict.outcome,
        Outcome::failed("command `act` said no: fine")
    );
}

#[tokio::test]
async fn a_lost_link_is_the_hosts_failure_whatever_the_plugin_says() {
    let rig = act().await;
    let lost = Failure::new(FailureKind::LinkLost, "the link to fe001 is lost");
    let mut hands = FakeHands::answering(vec![Err(lost.clone())]);
    let failed = run(&*command(&rig, "catch").await, &mut hands).await;
    assert_eq!(failed, Err(lost));
    assert!(hands.logged[0].contains("caught"), "{:?}", hands.logged);
}

#[tokio::test]
async fn what_could_not_be_done_is_the_plugins_to_judge() {
    let rig = act().await;
    let impossible = || vec![Ok(Reply::Impossible("no space".into()))];
    let mut hands = FakeHands::answering(impossible());
    let verdict = run(&*command(&rig, "catch").await, &mut hands)
        .await
        .unwrap();
    assert_eq!(verdict.outcome, Outcome::Changed);
    let mut hands = FakeHands::answering(impossible());
    let failure = run(&*command(&rig, "ask").await, &mut hands)
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Plugin);
    assert!(failure.message.contains("no space"), "{failure}");
}

#[tokio::test]
async fn false_and_none_are_failures() {
    let rig = act().await;
    for how in ["false", "none"] {
        let verdict = run(&*command(&rig, how).await, &mut FakeHands::default())
            .await
            .unwrap();
        assert_eq!(verdict.outcome, Outcome::failed("command `act` said no"));
    }
}

#[tokio::test]
async fn exceptions_and_deaths_are_the_plugins_failures() {
    let rig = act().await;
    let mut hands = FakeHands::default();
    let failure = run(&*command(&rig, "raise").await, &mut hands)
        .await
        .unwrap_err();
    assert_eq!(
        failure,
        Failure::new(FailureKind::Plugin, "ValueError: two / lines")
    );
    assert!(hands.logged[0].contains("Traceback"));

    for (how, said) in [
        (
            "die",
            "the plugin `commands/act.py` ended with exit status 7",
        ),
        (
            "exit in silence",
            "the plugin `commands/act.py` was ended by signal 9",
        ),
    ] {
        let failure = run(&*command(&rig, how).await, &mut FakeHands::default())
            .await
            .unwrap_err();
        assert_eq!(failure, Failure::new(FailureKind::Plugin, said));
    }
}

#[tokio::test]
async fn one_that_was_initialized_by_a_process_that_died_still_runs() {
    let rig = act().await;
    let good = command(&rig, "ask").await;
    let bad = command(&rig, "die").await;
    run(&*bad, &mut FakeHands::default()).await.unwrap_err();
    let mut hands = FakeHands::answering(vec![ran(0, "again")]);
    let verdict = run(&*good, &mut hands).await.unwrap();
    assert_eq!(verdict.output.as_deref(), Some("again"));
}

#[tokio::test]
async fn twenty_at_once_on_one_process() {
    let rig = act().await;
    let asks: Vec<_> = futures_util::future::join_all((0..20).map(|_| command(&rig, "ask"))).await;
    let runs = asks.iter().enumerate().map(|(n, ask)| async move {
        let mut hands = FakeHands::answering(vec![ran(0, &n.to_string())]);
        run(&**ask, &mut hands).await.unwrap().output
    });
    let outputs = futures_util::future::join_all(runs).await;
    for (n, output) in outputs.into_iter().enumerate() {
        assert_eq!(output, Some(n.to_string()));
    }
}

#[tokio::test]
async fn nothing_is_left_after_close() {
    let rig = act().await;
    let looping = command(&rig, "loop").await;
    let mut hands = FakeHands::default();
    let (failed, ()) = tokio::join!(run(&*looping, &mut hands), async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        rig.plugins.close().await;
    });
    assert_eq!(
        failed.unwrap_err().message,
        "the plugin `commands/act.py` was closed"
    );
}

#[tokio::test]
async fn what_is_printed_is_logged_in_the_name_of_the_file() {
    let mut rig = rig();
    rig.put(
        "commands/talk",
        "#!/bin/sh\necho 'a word' >&2\nread -r line\n\
         printf '{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"protocol\":1,\"commands\":[{\"name\":\"talk\"}]}}\\n'\nread -r line\n",
    );
    let wanted = Wanted {
        platform: None,
        commands: ["talk".to_owned()].into(),
    };
    let (plugins, base) = (rig.plugins.clone(), rig.base());
    load(&mut rig.registry, &plugins, &[base], &wanted)
        .await
        .unwrap();
    plugins.close().await;
    assert_eq!(*rig.lines.lock().unwrap(), ["Info Talk: a word"]);
}
