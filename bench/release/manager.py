"""What a manager and an agent take when idle; thousands of agents that long-poll, half of them builders of one project, and how long it is
from sending a request until its job is with one of them; durable requests and queries by XML-RPC. Memory is what is resident
of the one process, pages of the program file included."""

import json
import os
import resource
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

import installation
from world import HERE, Server, free_port

TARGET, TITLE = 10, "The manager"
AGENTS = 5000
RATE = 100
CONNECTIONS = 32


def measure(world):
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    idle(world)
    polls(world, "SQLite", None)
    calls(world, "SQLite", None)
    with Postgres() as postgres:
        polls(world, "PostgreSQL", postgres.database("polls"))
        calls(world, "PostgreSQL", postgres.database("calls"))


def idle(world):
    manager = installation.manager(world, "idle")
    agent = installation.installer(world, "idle", manager.url, ["t1"])
    try:
        manager.wait_for(lambda: installation.agents(world, manager.url), "the installer's registration")
        found, agents = [], []
        for _ in range(5):
            time.sleep(1)
            found.append(manager.memory()[0])
            agents.append(agent.memory()[0])
        world.row(TARGET, "manager, idle: memory", found, ("<=", 40), " MB", 1)
        world.row(TARGET, "installer, idle: memory", agents, ("<=", 16), " MB", 1)
    finally:
        agent.stop()
        manager.stop()


def polls(world, store, url):
    manager = installation.manager(world, f"polls-{store}", persist=url)
    try:
        began = manager.cpu()
        told = world.loaded("agents", url=manager.url, builders=AGENTS // 2, installers=AGENTS // 2, rate=RATE,
                            seconds=10 if world.quick else 30)
        cpu = manager.cpu() - began
        what = f"{store}: {AGENTS} agents long-polling"
        world.row(TARGET, f"{what}: the manager's peak memory", manager.memory()[1], ("<=", 256), " MB", 0)
        # those that came to nobody within ten seconds count as so late
        late = told["lost"] * 100 > told["asked"]
        world.row(TARGET, f"{what}, {RATE} requests/s: 99% of jobs are with a free agent after",
                  10_000 if late else told["ms"]["p99"], ("<=", 50), " ms", 1)
        world.row(TARGET, f"{what}: jobs that came to nobody", told["lost"], ("<=", 0), "", 0)
        world.note(f"{store}: {told['asked']} jobs, the median one after {told['ms']['median']:.1f} ms; the agents registered in "
                   f"{told['register_seconds']:.1f} s; the manager used {cpu:.1f} s of CPU for all of it")
    finally:
        manager.stop()


def builder(url):
    """Makes the manager know a builder of the project, which asks for nothing."""
    register = {"protocol": 1, "kind": "builder", "name": "b", "incarnation": "1", "token": None, "slots": 1,
                "advertisement": {"projects": [installation.PROJECT]}, "held": []}
    call = urllib.request.Request(f"{url}/agent/v1/register", json.dumps(register).encode(),
                                  {"Content-Type": "application/json"})
    urllib.request.urlopen(call).read()


def wrk(url, seconds, *words, connections=CONNECTIONS):
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", HERE / "wrk/xmlrpc.lua", url, "--", *words]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    if told["wrong"]:
        raise RuntimeError(f"{words[0]}: {told['wrong']} of {told['requests']} calls went wrong")
    return told


def some_ids(world, url, limit=1000):
    """Transactions that there are, in a file."""
    with urllib.request.urlopen(f"{url}/api/v1/transactions?limit={limit}") as answer:
        ids = [t["transaction"] for t in json.load(answer)]
    path = world.root / "ids"
    path.write_text("\n".join(ids) + "\n")
    return path


def calls(world, store, url):
    manager = installation.manager(world, f"calls-{store}", persist=url)
    seconds = 2 if world.quick else 5
    try:
        builder(manager.url)
        asked, queried, slow = [], [], []
        wrk(manager.url, 1, "request_action")
        ids = some_ids(world, manager.url)
        for _ in range(world.rounds):
            told = wrk(manager.url, seconds, "request_action")
            asked.append(told["requests"] / told["seconds"])
            slow.append(told["p99_ms"])
            told = wrk(manager.url, seconds, "query_transaction", ids)
            queried.append(told["requests"] / told["seconds"])
        world.row(TARGET, f"{store}: durable `request_action`, {CONNECTIONS} connections", asked, (">=", 1000), "/s", 0)
        world.row(TARGET, f"{store}: `query_transaction`, {CONNECTIONS} connections", queried, (">=", 3000), "/s", 0)
        world.row(TARGET, f"{store}: `request_action`, 99% are answered after", slow, None, " ms", 1)
        world.row(TARGET, f"{store}: manager's peak memory meanwhile", manager.memory()[1], None, " MB", 0)
    finally:
        manager.stop()


def program(name):
    """A program of PostgreSQL, which Debian keeps off the path."""
    found = [*Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), Path("/usr/local/bin") / name]
    return next(path for path in found if path.exists())


class Postgres:
    """A server of its own with its defaults: what it acknowledges is on the disk."""

    def __init__(self):
        # where its own user may go, and on a disk
        self.root = Path(tempfile.mkdtemp(prefix="windlass-bench-", dir="/var/tmp"))
        self.user = {"user": "nobody", "group": "nogroup"} if os.getuid() == 0 else {}
        if self.user:
            shutil.chown(self.root, "nobody", "nogroup")

    def __enter__(self):
        data, self.port = self.root / "data", free_port()
        subprocess.run([program("initdb"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-D", data],
                       check=True, capture_output=True, cwd=self.root, **self.user)
        self.server = Server([program("postgres"), "-D", data, "-p", self.port, "-k", self.root,
                              "-c", "listen_addresses=127.0.0.1"], self.root / "log",
                             cwd=self.root, **self.user)
        self.server.wait_for(lambda: self.say("SELECT 1", check=False).returncode == 0, "PostgreSQL")
        return self

    def say(self, statement, check=True):
        return subprocess.run(["psql", "-qX", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-c", statement],
                              check=check, capture_output=True)

    def database(self, name):
        self.say(f"CREATE DATABASE {name}")
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def __exit__(self, *_):
        self.server.child.send_signal(2)
        self.server.stop()
        shutil.rmtree(self.root, ignore_errors=True)
