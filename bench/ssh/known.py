"""Target 7: many hosts that are known and not used."""

import base64
import hashlib
import hmac
import json
import os

from harness.hosts import PORT, USER
from harness.rounds import ratio

LINES = 20_000
HOSTS = 2_000


def measure(bench, part):
    used = bench.hosts.all
    hashed = bench.file("known_hosts_hashed")
    with open(hashed, "w") as file:
        mine = {f"[{a}]:{PORT}": key for a, key in zip(used, bench.hosts.keys)}
        lines = [line(name, key) for name, key in mine.items()]
        lines += [line(f"other-{n}", new_key()) for n in range(LINES - len(lines))]
        # wherever in the file
        lines.sort()
        file.writelines(lines)
    bench.hosts.write_ssh_config("ssh_config_hashed", hashed)
    few = bench.hosts.file("ssh_config_few")
    many = bench.hosts.file("ssh_config_many")
    for path, names in [(few, used), (many, used + [f"other-{n}" for n in range(HOSTS - len(used))])]:
        block = f"  Port {PORT}\n  User {USER}\n  IdentityFile {bench.hosts.file('client_key')}\n  IdentitiesOnly yes\n"
        text = "".join(f"Host {name}\n{block}" for name in names)
        text += f"Host *\n  UserKnownHostsFile {bench.hosts.file('known_hosts')}\n  GlobalKnownHostsFile /dev/null\n"
        path.write_text(text)
    rows = [
        grouped(bench, "200 hosts known", used, used, few),
        grouped(bench, "2,000 hosts known", used + [f"other-{n}" for n in range(HOSTS - len(used))], used, many),
        grouped(bench, "known_hosts of 20,000 hashed lines", used, used, bench.hosts.file("ssh_config_hashed")),
    ]
    found = bench.compare("known hosts", rows)
    note = "`true` on the same 200 hosts; each of the 2,000 has a block in ssh_config and a name in a hostgroup of the config."
    part.rows(7, "7. Hosts that are known and not used", found, "200 hosts known", note)
    base = found["200 hosts known"]
    for name in ["2,000 hosts known", "known_hosts of 20,000 hashed lines"]:
        part.target(7, f"{name}: times 200", ratio(found[name], base), 1.05)
        more = [(a - b) * 1000 for a, b in zip(found[name].cpu, base.cpu)]
        part.target(7, f"{name}: client CPU more", more, 50, digits=0, unit=" ms")


def grouped(bench, name, known, used, ssh_config):
    """A run on a hostgroup of a config that has others."""
    others = [host for host in known if host not in set(used)]
    config = {"platform": "rolling", "hostgroup": {"used": {"hosts": used}, "others": {"hosts": others or ["other"]}}}
    path = bench.file(f"config-{len(known)}.yaml", json.dumps(config))
    args = ["run", "--config", path, "--concurrency", str(len(used)), "--hostgroups", "used", "--", "true"]
    return bench.windlass(name, *args, ssh_config=ssh_config)


def line(name, key):
    salt = os.urandom(20)
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    encoded = lambda data: base64.b64encode(data).decode()  # noqa: E731
    return f"|1|{encoded(salt)}|{encoded(digest)} {key}\n"


def new_key():
    kind = b"ssh-ed25519"
    blob = len(kind).to_bytes(4, "big") + kind + (32).to_bytes(4, "big") + os.urandom(32)
    return f"ssh-ed25519 {base64.b64encode(blob).decode()}"
