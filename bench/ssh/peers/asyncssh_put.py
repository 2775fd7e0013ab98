"""USER PORT KEY KNOWN-HOSTS FILE DIRECTORY HOST...: a file to DIRECTORY/HOST/ on each host, by SFTP."""

import asyncio
import sys

import asyncssh

user, port, key, known, file, directory, *hosts = sys.argv[1:]


async def one(host):
    async with asyncssh.connect(host, int(port), username=user, client_keys=[key], known_hosts=known, config=None) as link:
        async with link.start_sftp_client() as sftp:
            await sftp.put(file, f"{directory}/{host}/")


async def main():
    await asyncio.gather(*map(one, hosts))


asyncio.run(main())
