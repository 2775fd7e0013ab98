"""What Windlass is measured beside, installed from where its users would have it: PyPI and Debian."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# everything that the bench makes; it can be removed as a whole
TARGET = ROOT / "target" / "bench"
VENVS = TARGET / "venv"

PYTHON = {
    "ansible": ["ansible-core==2.19.14", "mitogen==0.3.54"],
    "pyinfra": ["pyinfra==3.10.0"],
    "fabric": ["fabric==3.2.3"],
    "asyncssh": ["asyncssh==2.24.1"],
}
DEBIAN = {"sshd": "openssh-server", "ssh": "openssh-client", "nginx": "nginx-light", "curl": "curl", "tar": "tar", "xargs": "findutils",
          "wrk": "wrk", "openssl": "openssl", "psql": "postgresql"}


def find(program):
    """A program of the system."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def root(argv):
    """Does something that only root may."""
    subprocess.run((argv if os.geteuid() == 0 else ["sudo", *argv]), check=True, stdout=subprocess.DEVNULL)


def install_debian():
    missing = sorted({package for program, package in DEBIAN.items() if not find(program)})
    if missing:
        root(["apt-get", "update", "-qq"])
        root(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing])


def install_python():
    for name, packages in PYTHON.items():
        venv = VENVS / name
        marker = venv / "installed"
        if marker.exists() and marker.read_text() == " ".join(packages):
            continue
        shutil.rmtree(venv, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        pip = [venv / "bin" / "pip", "--quiet", "--disable-pip-version-check", "install"]
        subprocess.run([*pip, *packages], check=True)
        marker.write_text(" ".join(packages))


def cargo():
    """How cargo is called; the environment may put something before it."""
    return os.environ.get("BENCH_CARGO", "cargo").split()


def build():
    """Windlass, and what it is measured beside."""
    subprocess.run([*cargo(), "build", "--release", "--workspace", "--bin", "windlass", "--bin", "windlass-bench-load"], cwd=ROOT, check=True)
    reference = ROOT / "bench" / "reference"
    target = TARGET / "reference"
    subprocess.run([*cargo(), "build", "--release", "--locked", "--target-dir", target], cwd=reference, check=True)


def windlass():
    """What is measured: the release build, or the program that the environment names."""
    return Path(os.environ.get("BENCH_WINDLASS") or ROOT / "target" / "release" / "windlass")


def load():
    """What the release system and the executor are loaded with."""
    return ROOT / "target" / "release" / "windlass-bench-load"


def reference(name):
    return TARGET / "reference" / "release" / name


def of_venv(name, program):
    return VENVS / name / "bin" / program


def versions():
    """What was measured, by name."""

    def first(argv):
        said = subprocess.run(argv, capture_output=True, text=True)
        return (said.stdout + said.stderr).strip().splitlines()[0]

    found = {"windlass": first([windlass(), "--version"])}
    found["OpenSSH"] = first([find("ssh"), "-V"])
    found["nginx"] = first([find("nginx"), "-v"])
    found["Python"] = sys.version.split()[0]
    for name, packages in PYTHON.items():
        for package in packages:
            project, version = package.split("==")
            found[project] = version
    lock = (ROOT / "Cargo.lock").read_text().split("[[package]]")
    for package in lock:
        if 'name = "russh"\n' in package:
            found["russh"] = package.split('version = "')[1].split('"')[0]
    found["rustc"] = first(["rustc", "--version"])
    return found
