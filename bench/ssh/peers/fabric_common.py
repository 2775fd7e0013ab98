"""Connections of Fabric that check host keys, and a thread for each."""

from concurrent.futures import ThreadPoolExecutor

import paramiko
from fabric import Config, Connection


def connections(user, port, key, known, hosts):
    config = Config(overrides={"load_ssh_configs": False})
    found = []
    for host in hosts:
        link = Connection(host, user=user, port=int(port), config=config, connect_kwargs={"key_filename": key, "allow_agent": False, "look_for_keys": False})
        link.client.load_host_keys(known)
        link.client.set_missing_host_key_policy(paramiko.RejectPolicy())
        found.append(link)
    return found


def on_all(links, work):
    with ThreadPoolExecutor(len(links)) as pool:
        list(pool.map(work, links))
