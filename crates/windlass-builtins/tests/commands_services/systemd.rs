//! systemd's programs, with a stand-in `systemctl` that prints and ends as the real one does.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;
use tempfile::TempDir;
use windlass_model::outcome::Outcome;

use crate::drive::{Done, run_with};

/// Units are files that hold their state; `$unit.type` and `$unit.starts` (the states that follow a start) are optional.
const SYSTEMCTL: &str = r#"#!/bin/sh
units=$(dirname "$0")/units
echo "$*" >>"$units/../calls"
verb=$1
while [ $# -gt 1 ]; do shift; done
unit=$1
at=$units/$unit
if [ -e "$units/no-bus" ]; then
    echo "Failed to connect to bus: No such file or directory" >&2
    exit 1
fi
state() { cat "$at" 2>/dev/null || echo inactive; }
case $verb in
is-active)
    if [ -s "$at.starts" ] && [ "$(state)" != inactive ]; then
        head -n 1 "$at.starts" >"$at"
        sed -i 1d "$at.starts"
    fi
    state
    [ "$(state)" = active ] || exit 3 ;;
show) echo "Type=$(cat "$at.type" 2>/dev/null || echo simple)" ;;
start|restart|reload|stop)
    if [ ! -e "$at" ]; then
        [ $verb = stop ] && why=loaded || why=found
        echo "Failed to $verb $unit.service: Unit $unit.service not $why." >&2
        exit 5
    fi
    if [ -e "$at.broken" ]; then
        echo "Job for $unit.service failed because the control process exited with error code." >&2
        echo "See \"systemctl status $unit.service\" and \"journalctl -xeu $unit.service\" for details." >&2
        echo failed >"$at"
        exit 1
    fi
    [ ! -e "$at.slow" ] || exec sleep 30
    case $verb in
    stop) echo inactive >"$at" ;;
    reload)
        if [ "$(state)" != active ]; then
            echo "$unit.service is not active, cannot reload." >&2
            exit 1
        fi ;;
    *) echo active >"$at"; [ ! -e "$at.type" ] || echo inactive >"$at" ;;
    esac ;;
status)
    [ -e "$at" ] || { echo "Unit $unit.service could not be found." >&2; exit 4; }
    echo "   Active: $(state)"
    [ "$(state)" = active ] || exit 3 ;;
esac
"#;

struct Machine(TempDir);

impl Machine {
    fn new(units: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("units")).unwrap();
        let program = dir.path().join("systemctl");
        std::fs::write(&program, SYSTEMCTL).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        let machine = Self(dir);
        for (unit, state) in units {
            machine.set(unit, state);
        }
        machine
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn set(&self, name: &str, text: &str) {
        std::fs::write(self.path().join("units").join(name), text).unwrap();
    }

    fn act_within(&self, verb: &str, unit: &str, timeout: u32) -> Done {
        run_with(
            &[self.path()],
            "control_service",
            json!({"servicename": unit, "control_type": "systemd", "action": verb, "timeout": timeout}),
        )
    }

    fn act(&self, verb: &str, unit: &str) -> Done {
        self.act_within(verb, unit, 5)
    }
}

#[test]
fn a_unit_is_taken_through_its_states() {
    let machine = Machine::new(&[("shop", "inactive")]);
    let does = |verb| machine.act(verb, "shop").outcome;
    assert_eq!(does("stop"), Outcome::Unchanged);
    assert_eq!(does("start"), Outcome::Changed);
    assert_eq!(does("start"), Outcome::Unchanged);
    assert_eq!(does("reload"), Outcome::Changed);
    assert_eq!(does("restart"), Outcome::Changed);
    assert_eq!(does("status"), Outcome::Unchanged);
    assert_eq!(does("stop"), Outcome::Changed);
    assert_eq!(does("status"), Outcome::Unchanged);
    assert_eq!(
        machine.act("reload", "shop").failure(),
        "cannot reload `shop`: shop.service is not active, cannot reload. (exit status 1)"
    );
}

#[test]
fn a_unit_that_is_not_there_needs_no_stop() {
    let machine = Machine::new(&[]);
    assert_eq!(machine.act("stop", "shop").outcome, Outcome::Unchanged);
    assert_eq!(
        machine.act("start", "shop").failure(),
        "cannot start `shop`: Failed to start shop.service: Unit shop.service not found. (exit status 5)"
    );
    assert!(
        machine
            .act("status", "shop")
            .failure()
            .contains("could not be found")
    );
}

#[test]
fn a_start_that_is_no_start_is_a_failure() {
    let machine = Machine::new(&[
        ("dies", "inactive"),
        ("broken", "inactive"),
        ("slow", "inactive"),
    ]);
    machine.set("dies.starts", "activating\nfailed\n");
    let died = machine.act("start", "dies");
    assert_eq!(
        died.failure(),
        "cannot start `dies`: dies is failed after its start (exit status 1)"
    );
    machine.set("broken.broken", "");
    assert!(
        machine
            .act("start", "broken")
            .failure()
            .contains("journalctl -xeu broken")
    );
    machine.set("slow.slow", "");
    let slow = machine.act_within("start", "slow", 1);
    assert_eq!(
        slow.failure(),
        "cannot start `slow`: slow did not start within 1 s (exit status 124)"
    );
    assert!(slow.took.as_secs() < 10);
}

#[test]
fn slow_and_oneshot_units_are_understood() {
    let machine = Machine::new(&[("late", "inactive"), ("once", "inactive")]);
    machine.set("late.starts", "activating\nactivating\nactive\n");
    assert_eq!(machine.act("start", "late").outcome, Outcome::Changed);
    machine.set("once.type", "oneshot");
    assert_eq!(machine.act("start", "once").outcome, Outcome::Changed);
    let machine = Machine::new(&[("never", "inactive")]);
    machine.set("never.starts", &"activating\n".repeat(100));
    let done = machine.act_within("start", "never", 1);
    assert!(done.failure().contains("never is activating"), "{done:?}");
}

#[test]
fn without_a_bus_nothing_is_believed() {
    let machine = Machine::new(&[("shop", "active")]);
    machine.set("no-bus", "");
    for verb in ["start", "stop", "restart", "reload", "status"] {
        let done = machine.act(verb, "shop");
        assert!(
            done.failure().contains("Failed to connect to bus"),
            "{verb}: {done:?}"
        );
    }
}
