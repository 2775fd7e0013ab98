"""Runs the ``windlass`` program for a script."""

import os
import re
import shutil
import subprocess
import sys
import threading

from deployerlib.exceptions import DeployerException

_MEANING = {
    1: "tasks failed",
    2: "nothing was done, the input is at fault",
    3: "windlass itself failed",
    4: "the outcome is unknown",
    130: "interrupted",
}
_LOG_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (\[\w+ *\] \[([^\]]*)\].*)")


class Program:
    """One script's use of windlass, whose log goes to the script's stderr.

    Making, checking and running a tasklist are each a run of windlass that reads the same config
    and initializes the same commands. What one of them has logged, a later one does not repeat
    until the executor starts.
    """

    def __init__(self):
        self._logged = set()

    def run(self, arguments, take_stdout=False):
        """Gives what it wrote to stdout if taken, else passes that through.

        Raises DeployerException, with windlass's exit status as its code, when it fails.
        """
        child = subprocess.Popen(
            [find()] + arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if take_stdout else None,
            stderr=subprocess.PIPE,
        )
        output = []
        reader = None
        if take_stdout:
            reader = threading.Thread(
                target=lambda: output.append(child.stdout.read()), daemon=True
            )
            reader.start()
        self._pass_log(child.stderr)
        status = _uninterrupted(child.wait)
        if reader is not None:
            _uninterrupted(reader.join)
            child.stdout.close()
        child.stderr.close()
        if status != 0:
            meaning = _MEANING.get(status, "it ended with status {0}".format(status))
            raise DeployerException("windlass {0}: {1}".format(arguments[0], meaning), status)
        return output[0].decode("utf-8", "replace") if output else None

    def _pass_log(self, stream):
        started = False
        while True:
            # The terminal sends Ctrl-C to windlass too, which ends the run in good order.
            line = _uninterrupted(stream.readline).decode("utf-8", "replace")
            if not line:
                return
            match = _LOG_LINE.match(line)
            if match and match.group(2).strip() == "Executor":
                started = True
            if match and not started:
                if match.group(1) in self._logged:
                    continue
                self._logged.add(match.group(1))
            sys.stderr.write(line)
            sys.stderr.flush()


def find():
    """The windlass program: what WINDLASS_BIN names, or else the one on PATH."""
    wanted = os.environ.get("WINDLASS_BIN") or "windlass"
    found = shutil.which(wanted)
    if found is None:
        raise DeployerException(
            "cannot find the program '{0}': put windlass on PATH, or its path in "
            "WINDLASS_BIN".format(wanted)
        )
    return found


def _uninterrupted(wait):
    while True:
        try:
            return wait()
        except KeyboardInterrupt:
            continue
