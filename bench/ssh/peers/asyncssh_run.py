"""USER PORT KEY KNOWN-HOSTS TIMES COMMAND HOST...: a command, so often on each host, one process after the other."""

import asyncio
import sys

import asyncssh

user, port, key, known, times, command, *hosts = sys.argv[1:]


async def one(host):
    async with asyncssh.connect(
        host, int(port), username=user, client_keys=[key], known_hosts=known, config=None, kex_algs=["curve25519-sha256"]
    ) as link:
        for _ in range(int(times)):
            await link.run(command, check=True)


async def main():
    await asyncio.gather(*map(one, hosts))


asyncio.run(main())
