"""Hosts to work on: real sshds on addresses of the loopback, and one user who may log in to all of them.

The user has an empty profile and a home in memory, for many hosts share one disk here. All hosts share one home, but each has a
state directory of its own (`XDG_STATE_HOME`), which is where Windlass keeps what it keeps on a host.
"""

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

USER = "windlass-bench"
PORT = 2522
# an sshd takes no more lines of ListenAddress
A_DAEMON = 16


def addresses(count, net=10):
    """The addresses of `count` hosts."""
    return [f"127.{net}.{n // 250}.{n % 250 + 1}" for n in range(count)]


class Hosts:
    """Running sshds; use it as a context."""

    def __init__(self, directory, count):
        self.directory = Path(directory)
        self.all = addresses(count)
        self.daemons = []
        self.home = Path("/dev/shm") / USER

    def file(self, name):
        return self.directory / name

    def __enter__(self):
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        os.chmod(self.directory, 0o755)
        self.make_user()
        keygen(self.file("client_key"))
        shutil.copy(self.file("client_key.pub"), self.file("authorized_keys"))
        # the public key of each host, in their order; the hosts of one daemon share it
        self.keys = []
        for n in range(0, len(self.all), A_DAEMON):
            key = keygen(self.file(f"host_key_{n // A_DAEMON}"))
            self.keys += [key] * len(self.all[n : n + A_DAEMON])
        self.file("host_keys").write_text("".join(f"{key}\n" for key in dict.fromkeys(self.keys)))
        self.file("known_hosts").write_text("".join(f"[{a}]:{PORT} {key}\n" for a, key in zip(self.all, self.keys)))
        self.file("hosts").write_text("\n".join(self.all) + "\n")
        self.write_ssh_config("ssh_config", self.file("known_hosts"))
        os.makedirs("/run/sshd", exist_ok=True)
        for n in range(0, len(self.all), A_DAEMON):
            self.start(n // A_DAEMON, self.all[n : n + A_DAEMON])
        for address in self.all:
            wait_for(address, PORT)
        for number, daemon in enumerate(self.daemons):
            if daemon.poll() is not None:
                # another one answered in its place
                raise RuntimeError(f"sshd ended: {self.file(f'sshd_{number}.log').read_text()}")
        return self

    def __exit__(self, *_):
        for daemon in self.daemons:
            daemon.send_signal(signal.SIGTERM)
        for daemon in self.daemons:
            daemon.wait(10)
        shutil.rmtree(self.home, ignore_errors=True)

    def make_user(self):
        try:
            pwd.getpwnam(USER)
        except KeyError:
            subprocess.run(
                ["useradd", "--no-create-home", "--home-dir", self.home, "--shell", "/bin/sh", "--password", "*", USER],
                check=True,
            )
        self.empty_home()

    def empty_home(self):
        """As it was at first."""
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(mode=0o755)
        user = pwd.getpwnam(USER)
        os.chown(self.home, user.pw_uid, user.pw_gid)

    def write_ssh_config(self, name, known_hosts, pattern="127.*", more=""):
        """A file for `ssh -F`, which Windlass reads too."""
        self.file(name).write_text(
            f"Host {pattern}\n  Port {PORT}\n  User {USER}\n  IdentityFile {self.file('client_key')}\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {known_hosts}\n  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n"
            f"  KexAlgorithms curve25519-sha256\n  LogLevel ERROR\n{more}"
        )

    def start(self, number, addresses):
        config = self.file(f"sshd_{number}")
        lines = [f"ListenAddress {address}:{PORT}" for address in addresses]
        lines += [
            f"HostKey {self.file(f'host_key_{number}')}",
            f"AuthorizedKeysFile {self.file('authorized_keys')}",
            "PidFile none", "UsePAM no", "StrictModes no", "PasswordAuthentication no", "KbdInteractiveAuthentication no",
            "PrintMotd no", "UseDNS no", "MaxStartups 2000", "MaxSessions 1000", "LogLevel ERROR",
            "Subsystem sftp internal-sftp",
        ]
        # the address that was connected to is the host's name
        for address in addresses:
            lines += [f"Match LocalAddress {address}", f"  SetEnv XDG_STATE_HOME={self.home}/state-{address}"]
        config.write_text("\n".join(lines) + "\n")
        log = open(self.file(f"sshd_{number}.log"), "w")
        argv = ["/usr/sbin/sshd", "-D", "-e", "-f", config]
        self.daemons.append(subprocess.Popen(argv, stderr=log, stdout=log, preexec_fn=end_with_parent))


def end_with_parent():
    """Called in a child: it ends when this process does, however that ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)


def keygen(path):
    """Makes a key pair and gives the public one, without its comment."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", path], check=True)
    return " ".join(path.with_suffix(".pub").read_text().split()[:2])


def wait_for(address, port, seconds=15):
    """Until somebody listens there."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection((address, port), 1) as stream:
                stream.settimeout(2)
                if stream.recv(4) == b"SSH-":
                    return
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise RuntimeError(f"nothing answers on {address}:{port}")
        time.sleep(0.02)
