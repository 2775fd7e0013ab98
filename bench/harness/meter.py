"""Runs one program and measures it with everything that it starts.

    python3 meter.py RESULT TIME-LIMIT time|memory OUTPUT PROGRAM ARGUMENT...

Wall time is from before the fork until the program has ended. CPU is that of all processes of the tree, once they are gone: this
process is their reaper, so what a program leaves behind (a ControlMaster, say) is ended and counted too. Memory is the largest sum
over the tree of PSS (a page that N processes share counts 1/N in each), looked at every few milliseconds, or the high-water mark of
the one process where there is only one; looking costs time, so a round is either for time or for memory.
"""

import ctypes
import json
import os
import resource
import signal
import sys
import time

PR_SET_CHILD_SUBREAPER = 36


def children(pid):
    found = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                found += [int(child) for child in file.read().split()]
    except OSError:
        pass
    return found


def tree(pid):
    """All that came of this process, itself left out."""
    found, new = [], children(pid)
    while new:
        found += new
        new = [grandchild for child in new for grandchild in children(child)]
    return found


def number(path, key):
    """A value in kB of a file in /proc; 0 when the process is gone."""
    try:
        with open(path) as file:
            for line in file:
                if line.startswith(key):
                    return int(line.split()[1])
    except (OSError, ValueError):
        pass
    return 0


class Memory:
    """The most that the tree has held at once, in kB."""

    def __init__(self):
        self.most = 0
        self.seen = set()
        self.high = 0

    def look(self):
        pids = tree(os.getpid())
        self.seen.update(pids)
        self.most = max(self.most, sum(number(f"/proc/{pid}/smaps_rollup", "Pss:") for pid in pids))
        for pid in pids:
            self.high = max(self.high, number(f"/proc/{pid}/status", "VmHWM:"))

    def result(self):
        # of a single process the kernel keeps the mark itself, and misses nothing between looks
        return self.high if len(self.seen) == 1 else self.most


def spawn(argv, output):
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            null = os.open("/dev/null", os.O_RDONLY)
            out = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            os.dup2(null, 0)
            os.dup2(out, 1)
            os.dup2(out, 2)
            os.execvp(argv[0], argv)
        finally:
            os._exit(127)
    return pid


def main():
    result, limit, mode, output = sys.argv[1], float(sys.argv[2]), sys.argv[3], sys.argv[4]
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    memory = Memory() if mode == "memory" else None
    late = []

    def over(*_):
        late.append(True)
        for pid in tree(os.getpid()):
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass

    signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, limit)
    began_at, began = time.time(), time.monotonic()
    program = spawn(sys.argv[5:], output)
    status = None
    while status is None:
        pid, code = os.waitpid(-1, os.WNOHANG if memory else 0)
        if pid == program:
            status = os.waitstatus_to_exitcode(code)
        elif pid == 0:
            looked = time.monotonic()
            memory.look()
            # at most a third of the time is spent on looking
            time.sleep(max(0.003, 2 * (time.monotonic() - looked)))
    wall = time.monotonic() - began
    signal.setitimer(signal.ITIMER_REAL, 0)
    # what it left behind
    deadline = time.monotonic() + 10
    while (left := tree(os.getpid())) and time.monotonic() < deadline:
        for pid in left:
            try:
                os.kill(pid, signal.SIGTERM if time.monotonic() < deadline - 5 else signal.SIGKILL)
            except OSError:
                pass
        time.sleep(0.01)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(result, "w") as file:
        json.dump(
            {
                # seconds since 1970
                "began": began_at,
                "wall": wall,
                "cpu": usage.ru_utime + usage.ru_stime,
                "memory": memory.result() / 1024 if memory else None,
                "status": status,
                "late": bool(late),
            },
            file,
        )


if __name__ == "__main__":
    main()
