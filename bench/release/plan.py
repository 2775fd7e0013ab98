"""`windlass plan --tasklist` of 100,000 tasks beside Python's `json.load` of the same file, the whole process beside the call alone; and
what the job queue costs."""

import json
import statistics
import subprocess
import sys

from world import timed

TARGET, TITLE = 8, "A plan of 100,000 tasks, and the job queue"
TASKS = 100_000
LOAD = "import json,sys,time; t=time.perf_counter(); json.load(open(sys.argv[1])); print(time.perf_counter()-t)"


def tasklist(count, hosts=1000):
    """A plan as a generator makes it: chains of five on each host in turn, of commands with different arguments."""
    def chain(n):
        host, service = f"app{n % hosts:04}.example.org", f"service{n % 40}"
        about = {"remote_host": host, "remote_user": "deploy", "tag": service}
        return [
            {"command": "createdirectory", **about, "source": f"/srv/{service}/{n}"},
            {"command": "execute_command", **about, "run": f"systemctl stop {service} # {n}", "safe_to_repeat": True},
            {"command": "symlink", **about, "source": f"/srv/{service}/{n}", "destination": f"/srv/{service}/current"},
            {"command": "execute_command", **about, "run": f"systemctl start {service}", "env": {"RUN": str(n)}},
            {"command": "removefile", **about, "source": f"/tmp/{service}-{n}.part"},
        ]

    chains = [chain(n) for n in range(max(1, count // 5))]
    size = max(1, len(chains) // 10)
    stages = [
        {"name": f"Stage {n}", "concurrency": 50, "concurrency_per_host": 2, "tasks": chains[at:at + size]}
        for n, at in enumerate(range(0, len(chains), size), 1)
    ]
    return {"name": "Benchmark", "stages": stages}


def write(world, count):
    path = world.root / f"tasklist{count}.json"
    if not path.exists():
        path.write_text(json.dumps(tasklist(count), indent=1))
    return path


def json_load(path):
    done = subprocess.run([sys.executable, "-c", LOAD, path], capture_output=True, text=True, check=True)
    return float(done.stdout)


def measure(world):
    path = write(world, TASKS)
    world.note(f"the file of {TASKS} tasks has {path.stat().st_size / 1e6:.1f} MB; json.load is timed within Python")
    plain, dump, loads, peaks, dumped = [], [], [], [], []
    for _ in range(world.rounds):
        python = json_load(path)
        used = timed([world.windlass, "plan", "--tasklist", path], env=world.environment)
        with open("/dev/null", "wb") as nowhere:
            all_of_it = timed(
                [world.windlass, "plan", "--tasklist", path, "--dump"], env=world.environment, stdout=nowhere
            )
        loads.append(python)
        plain.append(used.wall / python)
        dump.append(all_of_it.wall / python)
        peaks.append(used.peak)
        dumped.append(all_of_it.peak)
    world.note(f"json.load: {statistics.median(loads):.3f} s")
    world.row(TARGET, "plan of 100,000 tasks, `Syntax ok`: wall / json.load", plain, ("<=", 6))
    world.row(TARGET, "plan of 100,000 tasks, `--dump`: wall / json.load", dump, ("<=", 6))
    world.row(TARGET, "plan of 100,000 tasks, `Syntax ok`: peak memory", peaks, ("<=", 300), " MB", 0)
    world.row(TARGET, "plan of 100,000 tasks, `--dump`: peak memory", dumped, ("<=", 300), " MB", 0)
    queue, whole = [], []
    for _ in range(world.rounds):
        queue.append(world.loaded("queue", jobs=TASKS, hosts=1000)["us_a_job"])
        whole.append(world.loaded("executor", hosts=1000, tasks=20)["run_us_a_job"])
    world.row(TARGET, "the job queue alone, 100,000 jobs on 1,000 hosts, a job", queue, ("<=", 5), " us")
    world.row(TARGET, "the whole executor (queue, task, conversation, command, events) on hosts that do nothing, 20,000 jobs, a job", whole, None, " us")
