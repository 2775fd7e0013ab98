"""From the command line to a served plugin."""

import os
import runpy
import sys

from windlass_worker import load
from windlass_worker.calls import Calls
from windlass_worker.server import Server
from windlass_worker.wire import Connection


def main(argv):
    """Serves the plugin until the end of stdin. Gives the exit status."""
    if len(argv) != 2:
        sys.stderr.write("usage: python3 -u -m windlass_worker PLUGIN.py\n")
        return 2
    path = os.path.abspath(argv[1])
    # Siblings of the plugin can be imported; last, so that none hides a standard module.
    sys.path.append(os.path.dirname(path))

    if not load.uses_our_classes(path):
        return _run_as_program(path)

    streams = _Streams()
    plugin = load.load(path)
    if plugin.error is None and not plugin.classes:
        streams.give_back()
        return _run_as_program(path)

    connection = Connection(streams.incoming, streams.outgoing)
    try:
        Server(connection, Calls(plugin)).serve()
    except KeyboardInterrupt:
        return 130
    return 0


def _run_as_program(path):
    """The file speaks the protocol itself, on the real stdin and stdout."""
    sys.argv = [path]
    sys.path.insert(0, os.path.dirname(path))
    runpy.run_path(path, run_name="__main__")
    return 0


class _Streams:
    """Keeps stdin and stdout for the protocol alone.

    Whatever the plugin or its child processes print goes to stderr, and they read nothing.
    """

    def __init__(self):
        self.incoming = os.dup(0)
        self.outgoing = os.dup(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        self._stdout = sys.stdout
        sys.stdout = sys.stderr

    def give_back(self):
        sys.stderr.flush()
        os.dup2(self.incoming, 0)
        os.dup2(self.outgoing, 1)
        os.close(self.incoming)
        os.close(self.outgoing)
        sys.stdout = self._stdout
        # The old object may have met its end of file already.
        sys.stdin = open(0, encoding="utf-8", closefd=False)
