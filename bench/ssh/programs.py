"""How each program is told to do the same work on the same hosts."""

import json
from pathlib import Path

from harness import peers
from harness.hosts import PORT, USER
from harness.rounds import Row, compare

HERE = Path(__file__).parent


class Bench:
    """What the measurements share."""

    def __init__(self, hosts, scratch, rounds, quick):
        self.hosts = hosts
        self.scratch = scratch
        self.rounds = rounds
        self.quick = quick
        self.state = scratch / "state"
        self.lists = 0

    def file(self, name, text=None):
        path = self.scratch / name
        if text is not None:
            path.write_text(text)
        return path

    def compare(self, title, rows):
        return compare(title, rows, self.scratch, self.rounds, self.quick)

    def list_of(self, addresses):
        """A file with a host a line."""
        return self.file(f"hosts-{len(addresses)}-{addresses[0]}", "\n".join(addresses) + "\n")

    # -- Windlass

    def windlass(self, name, *args, ssh_config=None, **more):
        argv = [
            peers.windlass(), "--state-dir", self.state, "--ssh-config", ssh_config or self.hosts.file("ssh_config"), *args,
        ]
        return Row(name, argv, cwd=str(self.scratch), **more)

    def run(self, name, addresses, command, ssh_config=None, **more):
        """`windlass run`: what is run is kept on the host, as it might be anything."""
        args = ["run", "--concurrency", str(len(addresses)), "--hosts", *addresses, "--", command]
        return self.windlass(name, *args, ssh_config=ssh_config, **more)

    def deploy(self, name, tasklist, ssh_config=None, **more):
        self.lists += 1
        path = self.file(f"tasklist-{self.lists}.json", json.dumps(tasklist))
        return self.windlass(name, "deploy", "--tasklist", path, ssh_config=ssh_config, **more)

    # -- what it is measured beside

    def russh(self, name, addresses, *work, port=PORT, **more):
        argv = [peers.reference("bare-russh"), "--user", USER, "--key", self.hosts.file("client_key")]
        argv += ["--known", self.hosts.file("host_keys"), "--port", str(port), "--hosts", self.list_of(addresses), *work]
        return Row(name, argv, **more)

    def shell(self, name, script, *args, **more):
        """A line of sh: how OpenSSH is used on many hosts."""
        return Row(name, ["/bin/sh", "-c", script, "sh", *args], **more)

    def openssh(self, name, addresses, command, **more):
        at_once, config = len(addresses), self.hosts.file("ssh_config")
        return self.shell(name, f"xargs -P {at_once} -I@ ssh -F {config} @ '{command}' < {self.list_of(addresses)}", **more)

    def of_ours(self, name, venv, script, *args, **more):
        """A small program of ours with a library."""
        argv = [peers.of_venv(venv, "python"), HERE / "peers" / script, USER, str(PORT), self.hosts.file("client_key")]
        return Row(name, [*argv, self.hosts.file("known_hosts"), *args], **more)

    def inventory(self, addresses, port=PORT):
        """For Ansible."""
        known = self.hosts.file("known_hosts")
        lines = [f"{address} ansible_host={address} ansible_port={port}" for address in addresses]
        lines += [
            "[all:vars]", f"ansible_user={USER}", f"ansible_ssh_private_key_file={self.hosts.file('client_key')}",
            "ansible_python_interpreter=/usr/bin/python3",
            f"ansible_ssh_common_args=-o UserKnownHostsFile={known} -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes "
            "-o KexAlgorithms=curve25519-sha256",
        ]
        return self.file(f"inventory-{len(addresses)}-{addresses[0]}", "\n".join(lines) + "\n")

    def ansible_env(self, addresses, mitogen=False):
        # a directory of its own each time, so that no connection of an earlier round is found
        env = {
            "ANSIBLE_HOST_KEY_CHECKING": "True", "ANSIBLE_FORKS": str(len(addresses)), "ANSIBLE_LOCALHOST_WARNING": "False",
            "ANSIBLE_HOME": str(self.scratch / "ansible"), "ANSIBLE_SSH_CONTROL_PATH_DIR": "/dev/shm/windlass-bench-cp",
            "ANSIBLE_NOCOLOR": "1", "ANSIBLE_GATHERING": "explicit", "ANSIBLE_DEPRECATION_WARNINGS": "False",
        }
        if mitogen:
            strategies = next((peers.VENVS / "ansible").glob("lib/python*/site-packages/ansible_mitogen/plugins/strategy"))
            env["ANSIBLE_STRATEGY_PLUGINS"] = str(strategies)
            env["ANSIBLE_STRATEGY"] = "mitogen_linear"
        return env

    def ansible(self, name, addresses, module, argument, **more):
        argv = [peers.of_venv("ansible", "ansible"), "all", "-i", self.inventory(addresses), "-m", module, "-a", argument]
        return Row(name, argv, env=self.ansible_env(addresses), **more)

    def playbook(self, name, addresses, tasks, mitogen=False, **more):
        play = [{"hosts": "all", "gather_facts": False, "tasks": tasks}]
        path = self.file(f"{name.replace(' ', '-').replace(',', '')}-{addresses[0]}.yml", json.dumps(play))
        argv = [peers.of_venv("ansible", "ansible-playbook"), "-i", self.inventory(addresses), path]
        return Row(name, argv, env=self.ansible_env(addresses, mitogen), **more)

    def pyinfra_inventory(self, addresses):
        data = {
            "ssh_user": USER, "ssh_port": PORT, "ssh_key": str(self.hosts.file("client_key")),
            "ssh_known_hosts_file": str(self.hosts.file("known_hosts")), "ssh_strict_host_key_checking": "yes",
        }
        text = f"hosts = [(host, {data!r}) for host in {addresses!r}]\n"
        return self.file(f"pyinfra_{len(addresses)}_{addresses[0].replace('.', '_')}.py", text)

    def pyinfra(self, name, addresses, *args, **more):
        argv = [peers.of_venv("pyinfra", "pyinfra"), "-y", "--parallel", str(len(addresses)), self.pyinfra_inventory(addresses), *args]
        return Row(name, argv, cwd=str(self.scratch), **more)


def chain(addresses, tasks):
    """A tasklist that does the same tasks, in order, on each host."""
    jobs = [[{**task(address), "remote_host": address} for task in tasks] for address in addresses]
    return {"name": "Bench", "stages": [{"name": "Steps", "concurrency": len(addresses), "tasks": jobs}]}
