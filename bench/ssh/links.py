"""Target 4: links that take their time. What is sent ahead waits for no round trip of its own."""

import subprocess

from harness import peers
from harness.hosts import PORT, addresses, end_with_parent, wait_for
from programs import chain
from steps import ansible_steps, pyinfra_steps, twenty_tasks

TRIPS = [0, 50, 200]


class Delayed:
    """The first ten hosts behind links of this round trip, in milliseconds."""

    def __init__(self, bench, trip):
        self.all = addresses(10, net=20 + TRIPS.index(trip))
        pairs = [f"{here}:{PORT}={there}:{PORT}" for here, there in zip(self.all, bench.hosts.all)]
        self.proxy = subprocess.Popen([peers.reference("delay-proxy"), str(trip), *pairs], stdout=subprocess.PIPE, preexec_fn=end_with_parent)

    def __enter__(self):
        self.proxy.stdout.readline()
        for address in self.all:
            wait_for(address, PORT)
        return self

    def __exit__(self, *_):
        self.proxy.terminate()
        self.proxy.wait()


def measure(bench, part):
    known = bench.hosts.file("known_hosts")
    before = known.read_text()
    of_proxies = [(here, key) for trip in range(len(TRIPS)) for here, key in zip(addresses(10, net=20 + trip), bench.hosts.keys)]
    known.write_text(before + "".join(f"[{here}]:{PORT} {key}\n" for here, key in of_proxies))
    try:
        found = {trip: at(bench, part, trip) for trip in TRIPS}
    finally:
        known.write_text(before)
    here, far = found[0], found[200]
    over = []
    for now, cold, steps in zip(here["20 steps"].wall, far["true"].wall, far["20 steps"].wall):
        over.append((steps - cold - now) / 0.2)
    part.target(4, "20 steps at 200 ms: round trips over a cold `true` at 200 ms and the time at 0 ms", over, 2, digits=2)


def at(bench, part, trip):
    with Delayed(bench, trip) as links:
        slow = {0: 5, 50: 2, 200: 1}[trip]
        rows = [
            bench.run("true", links.all, "true"),
            bench.deploy("20 steps", chain(links.all, twenty_tasks())),
            bench.deploy("20 steps, safe to repeat", chain(links.all, twenty_tasks(safe_to_repeat=True))),
            bench.russh("bare russh, a process a step", links.all, "exec", "20", "echo step"),
            bench.pyinfra("pyinfra, 20 steps", links.all, pyinfra_steps(bench), quick_rounds=slow + 1),
            bench.playbook("Mitogen, 20 steps", links.all, ansible_steps(), mitogen=True, quick_rounds=slow),
            bench.playbook("Ansible, 20 steps", links.all, ansible_steps(), quick_rounds=min(slow, 2)),
        ]
        found = bench.compare(f"links of {trip} ms", rows)
    part.rows(4, f"4. 10 hosts behind links of {trip} ms", found, "20 steps")
    return found
