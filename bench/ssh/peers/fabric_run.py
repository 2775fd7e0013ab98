"""USER PORT KEY KNOWN-HOSTS TIMES COMMAND HOST...: a command, so often on each host."""

import sys

from fabric_common import connections, on_all

user, port, key, known, times, command, *hosts = sys.argv[1:]


def one(link):
    for _ in range(int(times)):
        link.run(command, hide=True)
    link.close()


on_all(connections(user, port, key, known, hosts), one)
