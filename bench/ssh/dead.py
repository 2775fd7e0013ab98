"""Target 6: hosts that are dead. Those that live are served as if there were none."""

import json
import socket

from harness.hosts import PORT, addresses
from harness.rounds import ratio

DEAD = 20


class Dead:
    """Twenty addresses: of ten the system says at once that nobody listens; five take a connection and say nothing; five do not
    even answer that one wants to connect."""

    def __init__(self):
        self.all = addresses(DEAD, net=30)
        self.sockets = []

    def __enter__(self):
        for n, address in enumerate(self.all[:10]):
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, PORT))
            listener.listen(100 if n < 5 else 0)
            self.sockets.append(listener)
            if n >= 5:
                # with its queue full the system drops what else comes
                for _ in range(3):
                    waiting = socket.socket()
                    waiting.setblocking(False)
                    waiting.connect_ex((address, PORT))
                    self.sockets.append(waiting)
        return self

    def __exit__(self, *_):
        for each in self.sockets:
            each.close()


def measure(bench, part):
    living = bench.hosts.all[:180]
    with Dead() as dead:
        known = bench.hosts.file("known_hosts")
        before = known.read_text()
        known.write_text(before + "".join(f"[{a}]:{PORT} {bench.hosts.keys[0]}\n" for a in dead.all))
        # one of ten is dead, wherever in the list
        mixed = [a for n in range(DEAD) for a in [*living[9 * n : 9 * n + 9], dead.all[n]]]
        rows = [
            json_run(bench, "180 that live", living, 0),
            json_run(bench, "180 that live, 20 dead", mixed, 1),
        ]
        try:
            found = bench.compare("dead hosts", rows)
        finally:
            known.write_text(before)
    note = (
        "Ten refuse, five take the connection and stay silent, five do not answer at all. The time is that until the last of the "
        "living was served."
    )
    part.rows(6, "6. 10% dead hosts among 200", found, "180 that live", note)
    ours = ratio(found["180 that live, 20 dead"], found["180 that live"])
    part.target(6, "time for the living, times that without the dead", ours, 1.05)


def json_run(bench, name, hosts, want):
    row = bench.run(name, hosts, "true", want=want)
    row.argv.insert(1, "json")
    row.argv.insert(1, "--log-format")
    row.instead = last_served
    return row


def last_served(output, measured):
    """When the last host that was served was."""
    last = 0
    for line in output.read_text().splitlines():
        event = json.loads(line) if line.startswith("{") else {}
        if "task_finished" in line and event["outcome"] in ("changed", {"changed": None}):
            last = max(last, event["at"])
    return last / 1e6 - measured["began"]
