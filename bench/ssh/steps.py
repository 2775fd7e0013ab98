"""Targets 2 and 3: many commands on a few hosts."""

from harness.rounds import ratio
from programs import chain

HUNDRED = 100
TWENTY = 20


def measure(bench, part):
    hundred(bench, part)
    twenty(bench, part)


def hundred(bench, part):
    addresses = bench.hosts.all[:10]
    config, listed = bench.hosts.file("ssh_config"), bench.list_of(addresses)
    control = "-o ControlMaster=auto -o ControlPersist=300 -o ControlPath=/dev/shm/windlass-bench-%h"
    each = f"i=0; while [ $i -lt {HUNDRED} ]; do ssh -F {config} {control} @ true || exit 1; i=$((i+1)); done"
    # the connections are there before the clock starts
    warm = bench.shell("OpenSSH, warm ControlMaster", f"xargs -P 10 -I@ sh -c '{each}' < {listed}")
    warm.prepare = lambda: masters(config, control, addresses)
    rows = [
        bench.deploy("windlass", chain(addresses, [task("true")] * HUNDRED)),
        bench.deploy("windlass, safe to repeat", chain(addresses, [task("true", safe_to_repeat=True)] * HUNDRED)),
        bench.russh("bare russh", addresses, "exec", str(HUNDRED), "true"),
        bench.of_ours("asyncssh", "asyncssh", "asyncssh_run.py", str(HUNDRED), "true", *addresses),
        warm,
    ]
    found = bench.compare("100 commands, 10 hosts", rows)
    note = "Windlass, bare russh and asyncssh connect within the time; OpenSSH's connections are there before."
    part.rows(2, "2. 100 commands on each of 10 hosts", found, "windlass", note)
    part.target(2, "faster than OpenSSH's warm ControlMaster", ratio(found[warm.name], found["windlass"]), 2.8, at_most=False)


def masters(config, control, addresses):
    import subprocess

    for address in addresses:
        subprocess.run(["ssh", "-F", config, *control.split(), address, "true"], check=True)


def twenty(bench, part):
    addresses = bench.hosts.all[:10]
    rows = [
        bench.deploy("windlass", chain(addresses, twenty_tasks())),
        bench.deploy("windlass, safe to repeat", chain(addresses, twenty_tasks(safe_to_repeat=True))),
        bench.russh("bare russh", addresses, "exec", str(TWENTY), "echo step"),
        bench.shell(
            "OpenSSH, ControlMaster",
            f"xargs -P 10 -I@ sh -c 'for i in $(seq {TWENTY}); do ssh -F {bench.hosts.file('ssh_config')} -o ControlMaster=auto "
            f"-o ControlPersist=2 -o ControlPath=/dev/shm/windlass-bench-$PPID-%h @ echo step || exit 1; done' "
            f"< {bench.list_of(addresses)}",
        ),
        bench.of_ours("Fabric", "fabric", "fabric_run.py", str(TWENTY), "echo step", *addresses),
        bench.pyinfra("pyinfra", addresses, pyinfra_steps(bench)),
        bench.playbook("Ansible", addresses, ansible_steps(), quick_rounds=2),
    ]
    found = bench.compare("20 steps, 10 hosts", rows)
    ours = found["windlass"]
    part.rows(3, "3. 20 steps on 10 hosts, a tasklist", found, "windlass")
    part.target(3, "faster than Ansible", ratio(found["Ansible"], ours), 25, at_most=False, digits=1)
    part.target(3, "faster than pyinfra", ratio(found["pyinfra"], ours), 4, at_most=False)
    part.target(3, "faster than Fabric", ratio(found["Fabric"], ours), 2, at_most=False)
    part.target(3, "times bare russh with a process a step", ratio(ours, found["bare russh"]), 1.0)


def task(line, **more):
    return lambda address: {"command": "execute_command", "run": line, **more}


def twenty_tasks(**more):
    return [task(f"echo step {n}", **more) for n in range(TWENTY)]


def ansible_steps():
    return [{"name": f"step {n}", "command": f"echo step {n}"} for n in range(TWENTY)]


def pyinfra_steps(bench):
    lines = ["from pyinfra.operations import server"]
    lines += [f"server.shell(name='step {n}', commands=['echo step {n}'])" for n in range(TWENTY)]
    return bench.file("pyinfra_steps.py", "\n".join(lines) + "\n")
