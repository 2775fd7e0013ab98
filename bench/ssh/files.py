"""Target 5: files."""

import hashlib
import os
import shutil
from pathlib import Path

from harness.hosts import USER
from harness.results import spread
from harness.rounds import ratio

MB = 200
SMALL = 1000


def measure(bench, part):
    large(bench, part)
    small(bench, part)


class Places:
    """A directory a host, for all of them are this machine."""

    def __init__(self, bench, addresses):
        self.base = Path("/dev/shm/windlass-bench-files")
        self.addresses = addresses
        self.clear()

    def of(self, address):
        return f"{self.base}/{address}"

    def clear(self):
        shutil.rmtree(self.base, ignore_errors=True)
        for address in self.addresses:
            os.makedirs(self.of(address))
            shutil.chown(self.of(address), USER)
        shutil.chown(self.base, USER)

    def all_have(self, name, size):
        def check():
            for address in self.addresses:
                found = [p for p in Path(self.of(address)).iterdir()] if name is None else [Path(self.of(address)) / name]
                assert sum(p.stat().st_size for p in found) == size, f"{address}: {found}"

        return check


def sent_on_loopback():
    for line in Path("/proc/net/dev").read_text().splitlines():
        if line.strip().startswith("lo:"):
            return int(line.split(":")[1].split()[8])
    return 0


def large(bench, part):
    addresses = bench.hosts.all[:10]
    places = Places(bench, addresses)
    source = Path("/dev/shm/windlass-bench-source/release.bin")
    source.parent.mkdir(exist_ok=True)
    digest = hashlib.sha256()
    with open(source, "wb") as file:
        for _ in range(MB):
            chunk = os.urandom(1 << 20)
            digest.update(chunk)
            file.write(chunk)
    config, listed = bench.hosts.file("ssh_config"), bench.list_of(addresses)
    size = MB << 20
    tasks = {"name": "Bench", "stages": [{"name": "Files", "concurrency": 10, "tasks": [
        {"command": "upload", "remote_host": a, "source": str(source), "destination": places.of(a)} for a in addresses
    ]}]}
    pyinfra = bench.file(
        "pyinfra_put.py",
        "from pyinfra import host\nfrom pyinfra.operations import files\n"
        f"files.put(src='{source}', dest=f'{places.base}/{{host.name}}/release.bin')\n",
    )
    crossed = []

    def again():
        before = sent_on_loopback()
        again.before = before

    def count():
        crossed.append((sent_on_loopback() - again.before) / 2**20)

    rows = [
        bench.deploy("windlass", tasks, prepare=places.clear, check=places.all_have("release.bin", size)),
        bench.deploy("windlass, again", tasks, prepare=again, check=count),
        bench.russh(
            "bare russh, cat", addresses, "put", str(source), str(places.base),
            prepare=places.clear, check=places.all_have("release.bin", size),
        ),
        bench.russh(
            "bare russh, verified", addresses, "put", str(source), str(places.base), str(256 * 1024), digest.hexdigest(),
            prepare=places.clear, check=places.all_have("release.bin", size),
        ),
        bench.shell(
            "scp", f"xargs -P 10 -I@ scp -q -F {config} {source} @:{places.base}/@/ < {listed}",
            prepare=places.clear, check=places.all_have("release.bin", size),
        ),
        bench.shell(
            "sftp", f"xargs -P 10 -I@ sh -c 'echo put {source} {places.base}/@/ | sftp -q -b - -F {config} @' < {listed}",
            prepare=places.clear, check=places.all_have("release.bin", size),
        ),
        bench.of_ours(
            "asyncssh", "asyncssh", "asyncssh_put.py", str(source), str(places.base), *addresses,
            prepare=places.clear, check=places.all_have("release.bin", size), quick_rounds=2,
        ),
        bench.of_ours(
            "Fabric", "fabric", "fabric_put.py", str(source), str(places.base), *addresses,
            prepare=places.clear, check=places.all_have("release.bin", size), quick_rounds=2,
        ),
        bench.pyinfra(
            "pyinfra", addresses, pyinfra, prepare=places.clear, check=places.all_have("release.bin", size), quick_rounds=5,
        ),
        bench.playbook(
            "Ansible", addresses, [{"copy": {"src": str(source), "dest": str(places.base) + "/{{ inventory_hostname }}/release.bin"}}],
            prepare=places.clear, check=places.all_have("release.bin", size), quick_rounds=5,
        ),
    ]
    try:
        found = bench.compare("200 MiB, 10 hosts", rows)
    finally:
        shutil.rmtree(source.parent)
        shutil.rmtree(places.base)
    ours = found["windlass"]
    least = ratio(ours, found["bare russh, verified"])
    note = (
        "`bare russh, verified` has about 256 KiB on the way and `openssl` there look at what arrived, which is the least that a verified "
        f"file costs; Windlass takes {spread(least)} times as long. Sent again when it is there, over the wire in all, both ways: "
        f"{spread(crossed)} MiB."
    )
    part.rows(5, "5. 200 MiB to a file on each of 10 hosts", found, "windlass", note)
    part.target(5, "200 MiB: times bare russh through `cat`", ratio(ours, found["bare russh, cat"]), 1.08)
    for name, want in [("scp", 1.35), ("Ansible", 3), ("pyinfra", 2.5)]:
        part.target(5, f"200 MiB: faster than {name}", ratio(found[name], ours), want, at_most=False)
    part.target(5, "200 MiB: peak memory", ours.memory, 32, digits=0, unit=" MB")
    part.target(5, "200 MiB, again: over the wire", crossed, 1, unit=" MiB")


def small(bench, part):
    addresses = bench.hosts.all[:10]
    places = Places(bench, addresses)
    source = Path("/dev/shm/windlass-bench-source")
    (source / "small").mkdir(parents=True)
    size = 0
    for n in range(SMALL):
        content = os.urandom(512 + 7 * n % 4096)
        size += len(content)
        (source / "small" / f"file-{n:04}.conf").write_bytes(content)
    archive = source / "small.tar"
    import tarfile

    with tarfile.open(archive, "w") as tar:
        for path in sorted((source / "small").iterdir()):
            tar.add(path, path.name)
    files = {"name": "Bench", "stages": [{"name": "Files", "concurrency": 10, "tasks": [
        {"command": "upload", "remote_host": a, "source": str(source / "small" / "*"), "destination": places.of(a)}
        for a in addresses
    ]}]}
    one = {"name": "Bench", "stages": [{"name": "Files", "concurrency": 10, "tasks": [
        [
            {"command": "upload", "remote_host": a, "source": str(archive), "destination": places.of(a) + "-tar"},
            {"command": "unpack", "remote_host": a, "source": places.of(a) + "-tar/small.tar", "destination": places.of(a) + "/all"},
        ]
        for a in addresses
    ]}]}
    config, listed = bench.hosts.file("ssh_config"), bench.list_of(addresses)

    def emptied():
        places.clear()
        for address in addresses:
            shutil.rmtree(places.of(address) + "-tar", ignore_errors=True)

    rows = [
        bench.deploy("windlass, 1,000 files", files, prepare=emptied, check=places.all_have(None, size)),
        bench.deploy("windlass, one tar and unpack", one, prepare=emptied),
        bench.shell(
            "tar through ssh",
            f"xargs -P 10 -I@ sh -c 'tar -C {source}/small -cf - . | ssh -F {config} @ tar -C {places.base}/@ -xf -' < {listed}",
            prepare=emptied, check=places.all_have(None, size),
        ),
        bench.shell(
            "scp", f"xargs -P 10 -I@ sh -c 'scp -q -F {config} {source}/small/* @:{places.base}/@/' < {listed}",
            prepare=emptied, check=places.all_have(None, size), quick_rounds=2,
        ),
    ]
    try:
        found = bench.compare("1,000 small files, 10 hosts", rows)
    finally:
        shutil.rmtree(source)
        shutil.rmtree(places.base)
    note = "Each file is verified by its SHA-256 on the host and renamed into place."
    part.rows(5, "5. 1,000 small files to each of 10 hosts", found, "windlass, 1,000 files", note)
    ours = found["windlass, 1,000 files"]
    part.target(5, "1,000 files: times one tar of them, uploaded and unpacked", ratio(ours, found["windlass, one tar and unpack"]), 1.2)
