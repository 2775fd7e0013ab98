"""A plugin process as Windlass runs it, driven over pipes."""

import json
import os
import queue
import subprocess
import sys
import tempfile
import textwrap
import threading

PYTHON = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
EXAMPLES = os.path.join(os.path.dirname(PYTHON), "examples")
SECONDS = 10


class Plugin:
    """Starts `command`; a context manager that ends it."""

    def __init__(self, command):
        self._last_id = 0
        self._seen = []
        self._messages = queue.Queue()
        self.rubbish = []
        env = dict(os.environ, PYTHONPATH=PYTHON, PYTHONDONTWRITEBYTECODE="1")
        self._errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=env,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @classmethod
    def python(cls, path):
        return cls([sys.executable, "-u", "-m", "windlass_worker", path])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
        self._errors.close()

    def end(self):
        """Closes its stdin; gives its exit status."""
        if not self.process.stdin.closed:
            self.process.stdin.close()
        try:
            status = self.process.wait(SECONDS)
        finally:
            self.process.kill()
            self.process.wait()
        self._reader.join(SECONDS)
        self.process.stdout.close()
        return status

    def stderr(self):
        self._errors.seek(0)
        return self._errors.read().decode()

    def send_line(self, line):
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def send(self, **message):
        self.send_line(json.dumps(dict(message, jsonrpc="2.0")).encode())

    def call(self, method, **params):
        """Sends a call and gives its id."""
        self._last_id += 1
        self.send(id=self._last_id, method=method, params=params)
        return self._last_id

    def take(self, wanted):
        """The first message not yet taken that `wanted` says yes to."""
        for index, message in enumerate(self._seen):
            if wanted(message):
                return self._seen.pop(index)
        while True:
            try:
                message = self._messages.get(timeout=SECONDS)
            except queue.Empty:
                raise AssertionError("no such message; stderr: " + self.stderr()) from None
            if message is None:
                raise AssertionError("it ended; stderr: " + self.stderr())
            if wanted(message):
                return message
            self._seen.append(message)

    def answer(self, call):
        """The whole answer to a call."""
        return self.take(lambda m: m.get("id") == call and "method" not in m)

    def result(self, method, **params):
        """Calls, and gives the result."""
        answer = self.answer(self.call(method, **params))
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer["result"]

    def error(self, method, **params):
        return self.answer(self.call(method, **params))["error"]

    def asked(self, method, call=None):
        """The next request of the plugin for `method`."""
        return self.take(
            lambda m: m.get("method") == method and call in (None, m["params"]["call"])
        )

    def logged(self):
        """What it has logged so far, as [component, host, message]; the rest is left."""
        logs = [m["params"] for m in self._seen if m.get("method") == "log"]
        self._seen = [m for m in self._seen if m.get("method") != "log"]
        return [[log["component"], log.get("remote_host", "*"), log["message"]] for log in logs]

    def _read(self):
        for line in self.process.stdout:
            try:
                self._messages.put(json.loads(line.decode()))
            except ValueError:
                self.rubbish.append(line)
        self._messages.put(None)


class PluginFile:
    """A Python plugin of these lines in a folder of its own; a context manager.

    `beside` are further files, name -> text."""

    def __init__(self, source, name="plugin.py", beside=()):
        self._folder = tempfile.TemporaryDirectory()
        for other, text in dict(beside, **{name: source}).items():
            with open(os.path.join(self._folder.name, other), "w", encoding="utf-8") as file:
                file.write(textwrap.dedent(text))
        self._plugin = Plugin.python(os.path.join(self._folder.name, name))

    def __enter__(self):
        return self._plugin

    def __exit__(self, *_):
        self._plugin.__exit__()
        self._folder.cleanup()


def task(command, instance="1.1.1", host=None, tag=None, **arguments):
    """The params of `initialize` and `execute`."""
    return {
        "command": command,
        "instance": instance,
        "arguments": arguments,
        "remote_host": host,
        "tag": tag,
    }
