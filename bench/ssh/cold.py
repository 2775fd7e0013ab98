"""Target 1: one command on hosts that nobody is connected to."""

from harness.results import spread
from harness.rounds import ratio
from programs import chain
from steps import task

# `true` with its output and status in a directory that only its user may read, and without any check
KEPT = (
    'd=$XDG_STATE_HOME/bare; ( umask 077; mkdir -p "$d" ) && { ( true ) </dev/null >"$d/out" 2>"$d/err"; echo $? >"$d/status"; }; '
    'read -r s <"$d/status"; rm -rf "$d"; exit "$s"'
)


def measure(bench, part):
    for count in [50, 200]:
        addresses = bench.hosts.all[:count]
        rows = [
            bench.deploy("windlass", chain(addresses, [task("true", safe_to_repeat=True)])),
            bench.run("windlass run", addresses, "true"),
            bench.russh("bare russh", addresses, "exec", "1", "true"),
            bench.russh("bare russh, kept", addresses, "exec", "1", KEPT),
            bench.openssh("OpenSSH", addresses, "true"),
            bench.of_ours("asyncssh", "asyncssh", "asyncssh_run.py", "1", "true", *addresses),
            bench.of_ours("Fabric", "fabric", "fabric_run.py", "1", "true", *addresses),
            bench.pyinfra("pyinfra", addresses, "exec", "--", "true"),
            bench.ansible("Ansible raw", addresses, "raw", "true", quick_rounds=5),
            bench.ansible("Ansible command", addresses, "command", "true", quick_rounds=5 if count == 50 else 2),
        ]
        found = bench.compare(f"true, {count} hosts", rows)
        ours = found["windlass"]
        of = lambda name: ratio(found[name], ours)  # noqa: E731
        note = (
            "`windlass` is a tasklist whose task is safe to repeat, so nothing is kept on the host for it: what the others do. "
            "`windlass run` may be given anything, so its line is fenced and kept there; `bare russh, kept` has the login shell keep it in a "
            f"directory and remove that: `windlass run` takes {spread(ratio(found['windlass run'], found['bare russh, kept']))} times as long."
        )
        part.rows(1, f"1. `true` on {count} hosts at once, cold", found, "windlass", note)
        part.target(1, f"{count} hosts: times bare russh", ratio(ours, found["bare russh"]), 1.10)
        kept = ratio(found["windlass run"], found["bare russh"])
        part.target(1, f"{count} hosts: `windlass run`, kept there, times bare russh", kept, 1.10)
        part.target(1, f"{count} hosts: faster than Ansible's command", of("Ansible command"), 14, at_most=False, digits=1)
        part.target(1, f"{count} hosts: faster than Ansible's raw", of("Ansible raw"), 7, at_most=False, digits=1)
        part.target(1, f"{count} hosts: faster than pyinfra", of("pyinfra"), 1.8, at_most=False)
        part.target(1, f"{count} hosts: faster than OpenSSH with curve25519", of("OpenSSH"), 1.35, at_most=False)
        part.target(1, f"{count} hosts: client CPU a host", [cpu * 1000 / count for cpu in ours.cpu], 1.2, unit=" ms")
        part.target(1, f"{count} hosts: peak memory", ours.memory, 25 if count == 50 else 45, digits=0, unit=" MB")
