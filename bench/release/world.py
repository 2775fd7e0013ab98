"""What the measurements share: processes, what they use, rounds, and rows of results."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from harness.results import spread, table
from harness.rounds import say

HERE = Path(__file__).resolve().parent
MB = 1 << 20


class Used:
    """What a finished command used: seconds of wall and CPU, and its peak memory in MB."""

    def __init__(self, wall, cpu, peak):
        self.wall, self.cpu, self.peak = wall, cpu, peak


def timed(command, **how):
    """Runs a command to its end; one that fails ends the measurement, with what it printed."""
    with tempfile.TemporaryFile() as said:
        how.setdefault("stdout", said)
        began = time.perf_counter()
        child = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stderr=said, **how)
        peak = Peak(child.pid)
        _, ended, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(ended)
        if child.returncode != 0:
            said.seek(0)
            text = said.read().decode(errors="replace")[-2000:]
            raise RuntimeError(f"{' '.join(map(str, command))}: exit status {child.returncode}\n{text}")
    return Used(wall, usage.ru_utime + usage.ru_stime, peak.kb / 1024)


class Peak:
    """The high-water mark of a process, looked at until it is gone: what `wait4` tells of a child's memory includes its parent's."""

    def __init__(self, pid):
        self.kb = 0
        threading.Thread(target=self.look, args=(pid,), daemon=True).start()

    def look(self, pid):
        while high := status(pid).get("VmHWM"):
            self.kb = high
            time.sleep(0.003)


class Server:
    """A process that runs until it is stopped; `pids` are those whose memory and CPU are its own."""

    def __init__(self, command, log, **how):
        self.log = Path(log)
        with open(self.log, "ab") as out:
            self.child = subprocess.Popen(
                [str(c) for c in command], stdin=subprocess.DEVNULL, stdout=out, stderr=out, **how
            )

    @property
    def pids(self):
        return tree(self.child.pid)

    def wait_for(self, there, what, seconds=60):
        """Waits until `there()` is true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.child.poll() is not None:
                break
            if there():
                return self
            time.sleep(0.02)
        text = self.log.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{what}: not there after {seconds} s\n{text}")

    def memory(self):
        """Resident now, and at most since the last `reset`; MB, all its processes together."""
        fields = [status(pid) for pid in self.pids]
        return sum(f.get("VmRSS", 0) for f in fields) / 1024, sum(f.get("VmHWM", 0) for f in fields) / 1024

    def reset(self):
        """The peak is counted from now on."""
        for pid in self.pids:
            try:
                Path(f"/proc/{pid}/clear_refs").write_text("5")
            except OSError:
                pass

    def cpu(self):
        """Seconds of CPU so far."""
        return sum(map(cpu_of, self.pids))

    def stop(self):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(40)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()


def tree(pid):
    """A process with all its descendants."""
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                todo.extend(int(child) for child in task.read_text().split())
            except OSError:
                pass
    return found


def status(pid):
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    return {k: int(v.split()[0]) for k, v in (line.split(":", 1) for line in lines) if k.startswith("Vm")}


def cpu_of(pid):
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def answers(url):
    def there():
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return answer.status < 500
        except urllib.error.HTTPError as error:
            return error.code < 500
        except OSError:
            return False

    return there


class World:
    """A scratch directory, the programs under test, and what was found."""

    def __init__(self, windlass, load, scratch, part, rounds, quick):
        self.windlass, self.load, self.part, self.rounds, self.quick = Path(windlass), Path(load), part, rounds, quick
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        self.root = scratch
        self.rows, self.notes, self.series = [], [], {}
        self.environment = dict(os.environ, HOME=str(self.root), NO_COLOR="1")
        for name in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
            self.environment[name] = str(self.root / name.lower())

    def close(self):
        shutil.rmtree(self.root, ignore_errors=True)

    def directory(self, name):
        path = self.root / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path

    def loaded(self, word, **what):
        """Runs the load program; gives what it found."""
        pairs = [f"{k}={v}" for k, v in what.items()]
        done = subprocess.run([self.load, word, *pairs], capture_output=True, text=True)
        try:
            told = json.loads(done.stdout)
        except ValueError:
            told = {"error": done.stdout + done.stderr}
        if "error" in told:
            raise RuntimeError(f"{word}: {told['error']}")
        return told

    def row(self, target, what, values, limit, unit="", digits=2):
        """Notes a figure of all rounds, held against its limit: ("<=", 6); none: only told."""
        values = values if isinstance(values, list) else [values]
        if limit:
            self.part.target(target, what, values, limit[1], limit[0] == "<=", digits, unit)
        got = spread(values, digits) if len(values) > 1 else f"{values[0]:.{digits}f}"
        wanted = f"{limit[0]} {limit[1]:g}" if limit else ""
        self.rows.append([what, f"{got}{unit}", wanted])
        say(f"   {what}: {got}{unit} {wanted}")

    def note(self, text):
        self.notes.append(text)
        say(f"   {text}")

    def tell(self, module):
        """Puts what was found since the last time onto the page."""
        text = [" ".join(module.__doc__.split()), table(["", "measured", "target"], self.rows)]
        text.append("\n".join(f"* {note}" for note in self.notes))
        text += [f"![{title}]({file})" for title, file in self.series.items()]
        self.part.section(module.TARGET, module.TITLE, "\n\n".join(t for t in text if t))
        self.rows, self.notes, self.series = [], [], {}
