"""A release of 3 x 200 MiB to 10 installers, from the request until the transaction is done: each fetches the three resources, verifies
them, and a tasklist links them to their places. Beside nginx (sendfile) with ten curls that write to files, in turns: with `sha256sum`,
which is the same work, and without, which is less."""

import hashlib
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
import zipfile
from pathlib import Path

import installation
from world import MB, Server, answers, free_port

TARGET, TITLE = 9, "A release to ten installers"
INSTALLERS = 10
TARGETS = ("t1", "t2", "t3")
SIZE = 200 * MB
VERSION = "1.0.0"

NGINX = """
worker_processes auto;
daemon off;
pid {root}/pid;
error_log {root}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;
    uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
    server {{ listen 127.0.0.1:{port}; root {files}; }}
}}
"""


def archive(world):
    """The release as `windlass release import` takes it, and a directory with its files."""
    files = world.directory("files")
    targets = {}
    path = world.root / "release.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as out:
        for target in TARGETS:
            content = os.urandom(SIZE)
            (files / target).write_bytes(content)
            digest = hashlib.sha256(content).hexdigest()
            targets[target] = {"name": f"{target}.bin", "digest": digest, "size": SIZE}
            out.writestr(f"{target}/{target}.bin", content)
        index = {"format": 1, "project": installation.PROJECT, "version": VERSION, "targets": targets}
        out.writestr("index.json", json.dumps(index))
    return path, files


def nginx(world, files):
    root, port = world.directory("nginx"), free_port()
    # its workers would be somebody who may not read here
    user = "user root;" if os.getuid() == 0 else ""
    (root / "conf").write_text(user + NGINX.format(root=root, port=port, files=files))
    server = Server(["nginx", "-p", root, "-c", root / "conf"], root / "out")
    server.url = f"http://127.0.0.1:{port}"
    return server.wait_for(answers(f"{server.url}/none"), "nginx")


def curls(world, url, verify):
    """Ten clients at once, each of which fetches the three files, and then has them verified; gives seconds."""
    root = world.directory("curl")
    command = "curl -sSf " + " ".join(f"-o {t} {url}/{t}" for t in TARGETS)
    if verify:
        command += " && sha256sum --quiet --check sums"
        sums = "".join(f"{world.sums[t]}  {t}\n" for t in TARGETS)
    began = time.perf_counter()
    clients = []
    for n in range(INSTALLERS):
        (root / str(n)).mkdir()
        if verify:
            (root / str(n) / "sums").write_text(sums)
        clients.append(subprocess.Popen(["sh", "-c", command], cwd=root / str(n)))
    failed = [c for c in clients if c.wait() != 0]
    wall = time.perf_counter() - began
    shutil.rmtree(root)
    if failed:
        raise RuntimeError(f"{len(failed)} of the clients of nginx failed")
    return wall


def in_memory(world):
    """A directory in memory, where there is room: else the disk is what would be measured, on both sides."""
    shm = Path("/dev/shm")
    room = shutil.disk_usage(shm).free if shm.is_dir() else 0
    free = int(Path("/proc/meminfo").read_text().split("MemAvailable:")[1].split()[0]) << 10
    if min(room, free) < 2 * INSTALLERS * len(TARGETS) * SIZE:
        world.note("all files are on the disk, whose speed counts for both sides")
        return world.root
    world.note("all files are in memory, so that no disk is measured")
    return Path(tempfile.mkdtemp(prefix="windlass-bench-", dir=shm))


def measure(world):
    disk, world.root = world.root, in_memory(world)
    try:
        fan_out(world)
    finally:
        if world.root != disk:
            shutil.rmtree(world.root, ignore_errors=True)
        world.root = disk


def fan_out(world):
    path, files = archive(world)
    with zipfile.ZipFile(path) as kept:
        targets = json.loads(kept.read("index.json"))["targets"]
    world.sums = {name: item["digest"] for name, item in targets.items()}
    servers = []
    try:
        manager = installation.manager(world, "fanout", TARGETS)
        servers.append(manager)
        installation.release(world, manager.url, path)
        path.unlink()
        peer = nginx(world, files)
        servers.append(peer)
        installers = [installation.installer(world, n, manager.url, TARGETS) for n in range(INSTALLERS)]
        servers.extend(installers)
        manager.wait_for(
            lambda: len(installation.agents(world, manager.url)) == INSTALLERS, "the installers' registrations"
        )
        found = rounds_of(world, manager, peer, installers)
    finally:
        for server in reversed(servers):
            server.stop()
    tell(world, found)


def rounds_of(world, manager, peer, installers):
    found = {name: [] for name in ("ours", "plain", "verified", "memory", "installer", "cpu")}
    # the first one warms up
    for number in range(-1, world.rounds):
        plain = curls(world, peer.url, verify=False)
        for server in (manager, *installers):
            server.reset()
        before = sum(s.cpu() for s in (manager, *installers))
        ours = installation.install(world, manager.url, VERSION).wall
        cpu = sum(s.cpu() for s in (manager, *installers)) - before
        memory, worst = manager.memory()[1], max(i.memory()[1] for i in installers)
        check(installers)
        if number < 0:
            continue
        verified = curls(world, peer.url, verify=True)
        for name, value in zip(found, (ours, plain, verified, memory, worst, cpu)):
            found[name].append(value)
    return found


def check(installers):
    """Every file is where it belongs, whole, and goes away again."""
    for one in installers:
        for target in TARGETS:
            file = one.root / "work" / target
            if file.stat().st_size != SIZE:
                raise RuntimeError(f"{file} is not whole")
            file.unlink()


def tell(world, found):
    world.note(
        "nginx and curl: {:.2f} s without, {:.2f} s with sha256sum; Windlass, which always verifies: {:.2f} s, {:.1f} s of "
        "CPU".format(*(statistics.median(found[n]) for n in ("plain", "verified", "ours", "cpu")))
    )
    ratio = lambda other: [ours / peer for ours, peer in zip(found["ours"], found[other])]
    world.row(TARGET, "3 x 200 MiB to 10 installers, verified: wall / nginx + curl + sha256sum", ratio("verified"), ("<=", 1.10))
    world.row(TARGET, "the same: wall / nginx + curl, which verifies nothing", ratio("plain"), None)
    world.row(TARGET, "manager, peak memory meanwhile", found["memory"], ("<=", 60), " MB", 1)
    world.row(TARGET, "an installer, peak memory meanwhile", found["installer"], None, " MB", 1)
