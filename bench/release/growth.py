"""Time and memory against hosts, tasks and transactions in the store."""

import math
import sqlite3
import statistics
from pathlib import Path

import installation
import manager
import plan
from svg import plot
from world import timed

TARGET, TITLE = 11, "Growth"
HOSTS = (1, 10, 100, 300, 1000)
TASKS = (10, 100, 1000, 10_000, 100_000)
TRANSACTIONS = (1_000, 10_000, 100_000, 1_000_000)
# Steeper than this, between the two largest sizes, is more than linear; the rest is noise.
LINEAR = 1.1
# So much slower in the largest store than in the smallest is no growth.
FLAT = 1.3


def measure(world):
    hosts(world)
    tasks(world)
    transactions(world)


def steepness(series):
    """The exponent between the last two points: 1 is linear."""
    (x0, y0), (x1, y1) = series[-2:]
    return math.log(max(y1, 1e-9) / max(y0, 1e-9)) / math.log(x1 / x0)


def grown(world, name, title, x, lines):
    """Draws the points; `lines`: what -> (unit, points)."""
    file = f"growth-{name}.svg"
    (Path(__file__).resolve().parents[1] / file).write_text(plot(title, x, lines))
    world.series[title] = file


def at_each(world, sizes, run):
    """Seconds of wall, of CPU, and MB for each size, medians of some rounds in turns."""
    found = {size: [] for size in sizes}
    for _ in range(3 if world.quick else world.rounds):
        for size in sizes:
            found[size].append(run(size))
    median = lambda of: [(size, statistics.median(of(used) for used in found[size])) for size in sizes]
    return median(lambda used: used.wall), median(lambda used: used.cpu), median(lambda used: used.peak)


def linear(world, what, series):
    world.row(TARGET, f"{what}: exponent of growth (1 is linear)", steepness(series), ("<=", LINEAR))


def hosts(world):
    run = lambda count: timed([world.load, "executor", f"hosts={count}", "tasks=20"])
    wall, cpu, peak = at_each(world, HOSTS, run)
    lines = {"wall": ("s", wall), "CPU": ("s", cpu), "memory": ("MB", peak)}
    grown(world, "hosts", "20 tasks on each of N hosts that do nothing", "hosts", lines)
    linear(world, "CPU against hosts", cpu)
    linear(world, "memory against hosts", peak)


def tasks(world):
    files = {count: plan.write(world, count) for count in TASKS}
    run = lambda count: timed([world.windlass, "plan", "--tasklist", files[count]], env=world.environment)
    wall, cpu, peak = at_each(world, TASKS, run)
    lines = {"wall": ("s", wall), "CPU": ("s", cpu), "memory": ("MB", peak)}
    grown(world, "tasks", "windlass plan of a tasklist of N tasks", "tasks", lines)
    linear(world, "CPU against tasks", cpu)
    linear(world, "memory against tasks", peak)


def transactions(world):
    one = installation.manager(world, "growth")
    try:
        # real ones first: what the store is filled with are copies of them
        world.loaded("agents", url=one.url, builders=4, installers=0, rate=20, seconds=1)
    finally:
        one.stop()
    file = one.root / "work/manager.sqlite"
    found = {what: [] for what in ("status", "history", "newest", "request", "memory")}
    for count in TRANSACTIONS:
        fill(file, count)
        server = installation.start(world, one.root)
        try:
            look(world, server, file, count, found)
        finally:
            server.stop()
    lines = {
        "status of one": ("ms", found["status"]), "history of one": ("ms", found["history"]),
        "the newest 100": ("ms", found["newest"]), "a durable request": ("ms", found["request"]),
        "manager's memory": ("MB", found["memory"]),
    }
    grown(world, "transactions", "a manager with N transactions in its store", "transactions", lines)
    for what, name in (("status", "status of one transaction"), ("history", "history of one transaction")):
        series = found[what]
        world.row(TARGET, f"{name}: time with {TRANSACTIONS[-1]:,} transactions / with {TRANSACTIONS[0]:,}",
                  series[-1][1] / series[0][1], ("<=", FLAT))
    for what, name in (("newest", "the newest 100"), ("request", "a request"), ("memory", "manager's memory")):
        linear(world, f"{name} against transactions", found[what])


def look(world, server, file, count, found):
    ids = world.root / "some-ids"
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as store:
        step = max(1, count // 5000)
        rows = store.execute("SELECT id FROM tx WHERE seq % ? = 0 LIMIT 5000", (step,))
        ids.write_text("".join(f"{row[0]}\n" for row in rows))
    seconds = 1 if world.quick else 3
    # one at a time: how long each takes, not how many there can be
    calls = (("status", "query_transaction"), ("history", "transaction_history"))
    for what, word in calls:
        # of some runs the least disturbed: the sizes cannot take turns
        times = [manager.wrk(server.url, seconds, word, ids, connections=1)["median_ms"] for _ in range(5)]
        found[what].append((count, min(times)))
    asked = manager.wrk(server.url, seconds, "request_action", connections=1)
    found["request"].append((count, asked["median_ms"]))
    times = [timed(["curl", "-sf", "-o", "/dev/null", f"{server.url}/api/v1/transactions?limit=100"]).wall for _ in range(9)]
    found["newest"].append((count, statistics.median(times) * 1e3))
    found["memory"].append((count, server.memory()[1]))


def fill(file, count):
    """Adds copies of an ended transaction, with its job and its history, until there are so many."""
    store = sqlite3.connect(file)
    store.execute("PRAGMA foreign_keys = OFF")
    store.execute("PRAGMA synchronous = OFF")
    store.execute("PRAGMA cache_size = -200000")
    (there,), (last,) = (store.execute(q).fetchone() for q in ("SELECT count(*) FROM tx", "SELECT max(seq) FROM tx"))
    (pattern,) = store.execute("SELECT id FROM tx WHERE phase = 'ended' LIMIT 1").fetchone()
    numbers = (f"(WITH RECURSIVE up(nr) AS (VALUES ({last + 1}) UNION ALL SELECT nr + 1 FROM up "
               f"WHERE nr < {last + count - there}) SELECT nr FROM up)")
    name = "printf('bench%017d', k.nr)"
    copies = {"tx": {"id": name, "seq": "k.nr"}, "job": {"id": "printf('job%019d', k.nr)", "tx": name}, "history": {"tx": name}}
    if there < count:
        for table, changed in copies.items():
            columns = [row[1] for row in store.execute(f"PRAGMA table_info({table})")]
            key = "id" if table == "tx" else "tx"
            values = [changed.get(column, f"t.{column}") for column in columns]
            store.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} "
                          f"FROM {numbers} AS k, {table} AS t WHERE t.{key} = ?", (pattern,))
        store.execute("UPDATE meta SET sequence = (SELECT max(seq) FROM tx)")
        store.commit()
    store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
