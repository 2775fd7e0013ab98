"""Managers and installers for measurements: their files, and the servers made of them."""

import json
import subprocess

from world import Server, answers, free_port, timed

PROJECT = "bench"


def manager(world, name, targets=("t1",), persist=None):
    """Starts a manager of project `bench`; `persist` is the URL of a database, none: SQLite."""
    root = world.directory(name)
    port = free_port()
    conf = {
        "manager/release_manager_template.yaml":
            {"listen_port": port, "logging_level": "warning", **({"persist": "own"} if persist else {})},
        f"project/project_definition_{PROJECT}.yaml": {"targets": list(targets), "actions": {"noop": "test"}},
    }
    if persist:
        conf["plugins/persist/plugin_persist_own.yaml"] = {"klass": "postgresql", "url": persist}
    write(root, conf)
    return start(world, root, port)


def start(world, root, port=None):
    """Starts the manager of an installation, maybe again."""
    file = root / "conf/manager/release_manager_template.yaml"
    port = port or json.loads(file.read_text())["listen_port"]
    server = Server([world.windlass, "serve", "manager", root], root / "out", env=world.environment)
    server.root, server.url = root, f"http://127.0.0.1:{port}"
    return server.wait_for(answers(f"{server.url}/readyz"), "the manager")


def installer(world, number, url, targets, slots=1):
    """Starts an installer, whose behaviour links what was fetched to its place."""
    root = world.directory(f"installer{number}")
    link = {"command": "execute_command", "run": "ln -f '{resource}' '{install_path}'", "safe_to_repeat": True}
    conf = {
        "installer/release_installer_template.yaml": {
            "name": f"i{number}", "managers": [url], "slots": slots, "environments": {"prod": list(targets)},
        },
        "target/prod/install_behavior_link.yaml": {
            "package": "windlass.install", "klass": "tasklist",
            "stages": [{"name": "Link", "concurrency": 1, "tasks": [link]}],
        },
    }
    for target in targets:
        path = str(root / "work" / target)
        conf[f"target/prod/named_target_{target}.yaml"] = {"install_behavior": "link", "install_path": path}
    write(root, conf)
    (root / "work").mkdir()
    server = Server([world.windlass, "serve", "installer", root], root / "out", env=world.environment)
    server.root = root
    return server


def write(root, conf):
    # JSON is YAML
    for path, data in conf.items():
        path = root / "conf" / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(data))


def release(world, url, archive):
    timed([world.windlass, "release", "import", archive, "--manager", url], env=world.environment)


def install(world, url, version):
    return timed(
        [world.windlass, "request", PROJECT, "--env", "prod", "--release", f"{PROJECT}@{version}", "--wait",
         "--manager", url],
        env=world.environment,
    )


def agents(world, url):
    done = subprocess.run([world.windlass, "agents", "--json", "--manager", url], env=world.environment,
                          capture_output=True, text=True)
    return json.loads(done.stdout or "[]")
