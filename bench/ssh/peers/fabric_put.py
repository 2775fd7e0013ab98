"""USER PORT KEY KNOWN-HOSTS FILE DIRECTORY HOST...: a file to DIRECTORY/HOST/ on each host."""

import sys

from fabric_common import connections, on_all

user, port, key, known, file, directory, *hosts = sys.argv[1:]


def one(link):
    link.put(file, f"{directory}/{link.host}/")
    link.close()


on_all(connections(user, port, key, known, hosts), one)
