//! Plugins beside a config or tasklist: those that behave, over a real sshd, and those that do not.

#![allow(clippy::unwrap_used, reason = "a test ends where an expectation does")]

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::Place;
use support::site::Site;

/// A command in Python that asks the host everything that it may.
const PYTHON: &str = r#"
from deployerlib.command import Command


class LeaveNote(Command):
    """Leaves a note on a host."""

    def initialize(self, note: str, directory: str):
        return directory.startswith('/')

    def execute(self):
        host = self.remote_host
        before = host.file_exists(self.directory + '/note.txt')
        uploaded = host.put_remote(self.note, self.directory)
        after = host.file_exists(self.directory + '/note.txt')
        good = host.execute_remote('cat ' + self.directory + '/note.txt')
        bad = host.execute_remote('echo aside >&2; exit 7')
        self.log.info('{0} {1} {2} {3}'.format(before, uploaded, after, good))
        self.log.info('{0} {1} {2}'.format(bad.failed, bad.return_code, bad.stderr.strip()))
        self.log.info('on ' + host.execute_remote('echo $SSH_CONNECTION').split()[2])
        return good.succeeded
"#;

/// The same over the bare protocol.
const PERL: &str = r#"#!/usr/bin/perl
use strict;
use warnings;
use JSON::PP;

my $json = JSON::PP->new->utf8->canonical->allow_nonref;
my ($asked, @later) = (0);
$| = 1;

sub send_message { print $json->encode({ jsonrpc => '2.0', @_ }), "\n" }

sub ask {
    my ($call, $method, %params) = @_;
    my $id = 'p' . ++$asked;
    send_message(id => $id, method => $method, params => { call => $call, %params });
    while (my $line = <STDIN>) {
        my $message = $json->decode($line);
        if (defined $message->{method}) { push @later, $message; next }
        die $message->{error}{message} if $message->{error};
        return $message->{result};
    }
    exit 0;
}

sub say_line {
    my ($call, $message, $host) = @_;
    send_message(method => 'log', params => {
        call => $call, level => 'info', component => 'LeaveNote', message => $message, remote_host => $host,
    });
}

sub execute {
    my ($call, $params) = @_;
    my ($note, $directory) = @{ $params->{arguments} }{qw(note directory)};
    my $word = sub { $_[0] ? 'True' : 'False' };
    my $before = ask($call, 'file_exists', path => "$directory/note.txt");
    my $uploaded = ask($call, 'put_remote', local_file => $ENV{PWD} . "/$note", remote_dir => $directory);
    my $after = ask($call, 'file_exists', path => "$directory/note.txt");
    my $good = ask($call, 'execute_remote', command => "cat $directory/note.txt");
    my $bad = ask($call, 'execute_remote', command => 'echo aside >&2; exit 7');
    my $where = ask($call, 'execute_remote', command => 'echo $SSH_CONNECTION');
    $bad->{stderr} =~ s/\s+$//;
    say_line($call, join(' ', $word->($before), "['@$uploaded']", $word->($after), $good->{output}), $params->{remote_host});
    say_line($call, join(' ', $word->($bad->{failed}), $bad->{status}, $bad->{stderr}), $params->{remote_host});
    say_line($call, 'on ' . (split ' ', $where->{output})[2], $params->{remote_host});
    return $good->{succeeded};
}

while (my $message = shift(@later) // do { my $line = <STDIN>; $line && $json->decode($line) }) {
    my ($id, $method, $params) = @$message{qw(id method params)};
    my $result =
          $method eq 'describe'   ? { protocol => 1, commands => [ { name => 'leave_note' } ] }
        : $method eq 'initialize' ? JSON::PP::true
        : $method eq 'execute'    ? execute($id, $params)
        :                           undef;
    send_message(id => $id, result => $result);
}
"#;

#[test]
fn a_command_in_python_works_on_a_host() {
    works_on_a_host("commands/leave_note.py", PYTHON);
}

#[test]
fn a_command_in_perl_works_on_a_host() {
    works_on_a_host("commands/leave_note", PERL);
}

fn works_on_a_host(file: &str, code: &str) {
    let site = Site::new(&["app1", "app2"]);
    site.place.program(file, code);
    site.place.write("note.txt", "to whom it may concern");
    let mut tasks = Vec::new();
    for host in ["app1", "app2"] {
        let directory = site.place.path().join(host);
        std::fs::create_dir(&directory).unwrap();
        support::site::open_to_all(&directory);
        tasks.push(json!({"command": "leave_note", "remote_host": host, "note": "note.txt", "directory": directory}));
    }
    let ran = site
        .deploy(json!([{"name": "Notes", "concurrency": 2, "tasks": tasks}]))
        .expect(0);
    for host in ["app1", "app2"] {
        let directory = site.place.at(host);
        let lines: Vec<&str> = ran
            .stderr
            .lines()
            .filter_map(|line| line.split_once(&format!("[LeaveNote      ] [{host}] [*] ")))
            .map(|(_, message)| message)
            .filter(|message| !message.starts_with("Task "))
            .collect();
        let note = format!("{directory}/note.txt");
        let first = format!("False ['{note}'] True to whom it may concern");
        assert_eq!(
            lines,
            [first.as_str(), "True 7 aside", "on 127.0.0.1"],
            "{}",
            ran.stderr
        );
        assert_eq!(
            std::fs::read_to_string(note).unwrap(),
            "to whom it may concern"
        );
    }
}

/// Runs a command of one's own, with the body of its `execute`, on this machine.
fn execute(body: &str, more: Value) -> (Place, support::Ran) {
    let place = Place::new();
    place.write(
        "commands/odd.py",
        &format!(
            "import os, time\nfrom deployerlib.command import Command\n\n\nclass Odd(Command):\n    \
             def initialize(self):\n        return True\n\n    def execute(self):\n        {body}\n"
        ),
    );
    let mut task = json!({"command": "odd"});
    for (key, value) in more.as_object().unwrap() {
        task[key] = value.clone();
    }
    let greet = json!({"command": "execute_command", "run": "echo not reached"});
    let stages = json!([{"name": "Odd", "concurrency": 1, "tasks": [task, greet]}]);
    place.write(
        "tasks.json",
        &json!({"name": "Odd", "stages": stages}).to_string(),
    );
    let ran = place.windlass(&["deploy", "--tasklist", "tasks.json"]);
    (place, ran)
}

#[test]
fn one_that_dies_while_it_executes() {
    let (place, ran) = execute("os._exit(3)", json!({}));
    insta::assert_snapshot!(ran.shown(&place));
}

#[test]
fn one_that_loops_while_it_executes_has_the_time_limit_of_the_task() {
    let begun = Instant::now();
    let (place, ran) = execute("time.sleep(1000)", json!({"time_limit": 1}));
    assert!(begun.elapsed() < Duration::from_secs(20));
    insta::assert_snapshot!(ran.shown(&place));
}

/// Plans with a generator whose `generate` is this.
fn generate(body: &str) -> (Place, support::Ran) {
    let place = Place::new();
    place.write("windlass.yaml", "platform: odd\nplugin_time_limit: 2\n");
    place.write(
        "generators/odd.py",
        &format!(
            "from deployerlib.generator import Generator\n\n\nclass OddGenerator(Generator):\n    \
             def generate(self):\n        {body}\n"
        ),
    );
    let ran = place.windlass(&["deploy"]);
    assert!(!place.path().join(".state/windlass/runs").exists());
    (place, ran)
}

#[test]
fn a_generator_that_loops() {
    let begun = Instant::now();
    let (place, ran) = generate("while True: pass");
    assert!(begun.elapsed() < Duration::from_secs(20));
    insta::assert_snapshot!(ran.expect(2).shown(&place));
}

#[test]
fn a_generator_that_eats_memory() {
    let (_, ran) = generate("bytearray(2 << 30)");
    let ran = ran.expect(2);
    assert!(ran.stderr.contains("MemoryError"), "{}", ran.stderr);
}

#[test]
fn a_plugin_that_never_says_what_it_offers() {
    let place = Place::new();
    place.write("windlass.yaml", "platform: odd\nplugin_time_limit: 1\n");
    place.program("generators/odd", "#!/bin/sh\nwhile :; do sleep 1; done\n");
    let ran = place.windlass(&["plan"]).expect(2);
    insta::assert_snapshot!(ran.shown(&place));
}

#[test]
fn a_time_limit_that_is_none_is_refused() {
    let place = Place::new();
    place.write("windlass.yaml", "platform: test\nplugin_time_limit: 0\n");
    let ran = place.windlass(&["plan"]).expect(2);
    insta::assert_snapshot!(ran.shown(&place));
}
