"""JSON-RPC 2.0, one message a line, both ways."""

import json
import os
import threading

from deployerlib.exceptions import DeployerException

MAX_LINE = 16 * 1024 * 1024

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
PLUGIN_ERROR = -32000


class Connection:
    """The two ends of the pipe. Any thread may send; one thread reads."""

    def __init__(self, incoming, outgoing):
        self._incoming = os.fdopen(incoming, "rb")
        self._outgoing = outgoing
        self._sending = threading.Lock()
        self._waiting = {}
        self._last_id = 0
        self._closed = False
        self._state = threading.Lock()

    def requests(self):
        """Yields each request of Windlass, until the end of input. Answers to ours are handed to
        whoever waits for them; once input has ended, nobody waits any longer."""
        try:
            while True:
                line = self._incoming.readline(MAX_LINE + 2)
                if not line:
                    return
                if len(line.rstrip(b"\r\n")) > MAX_LINE:
                    self._skip_rest_of(line)
                    self.fail(None, PARSE_ERROR, "a line is longer than {0} bytes".format(MAX_LINE))
                    continue
                message = self._parse(line)
                if message is None:
                    continue
                if "method" in message:
                    yield message
                else:
                    self._hand_over(message)
        finally:
            self._close()

    def ask(self, method, params):
        """Sends a request and waits for its answer; an error answer is raised as
        DeployerException. How long it may take is Windlass's to say: it ends the plugin."""
        answer = _Answer()
        with self._state:
            if self._closed:
                raise DeployerException("{0}: Windlass has closed the connection".format(method))
            self._last_id += 1
            request_id = "p{0}".format(self._last_id)
            self._waiting[request_id] = answer
        try:
            self._send({"id": request_id, "method": method, "params": params})
            answer.ready.wait()
        finally:
            with self._state:
                self._waiting.pop(request_id, None)
        if answer.message is None:
            raise DeployerException("{0}: Windlass has closed the connection".format(method))
        error = answer.message.get("error")
        if error is not None:
            raise _as_exception(method, error)
        return answer.message.get("result")

    def notify(self, method, params):
        self._send({"method": method, "params": params})

    def answer(self, request_id, result):
        self._send({"id": request_id, "result": result})

    def fail(self, request_id, code, message, data=None):
        error = {"code": code, "message": message}
        if data is not None:
            error["data"] = data
        self._send({"id": request_id, "error": error})

    def _send(self, message):
        """Raises TypeError or ValueError, with nothing sent, for what JSON cannot say."""
        message["jsonrpc"] = "2.0"
        text = json.dumps(message, ensure_ascii=False, allow_nan=False, default=_as_json)
        line = text.encode("utf-8", "replace")
        if len(line) > MAX_LINE:
            raise ValueError(
                "the message would be {0} bytes, more than the {1} of a line".format(
                    len(line), MAX_LINE
                )
            )
        rest = memoryview(line + b"\n")
        with self._sending:
            try:
                while rest:
                    rest = rest[os.write(self._outgoing, rest) :]
            except OSError:
                # Windlass is gone; the end of input follows.
                return

    def _parse(self, line):
        try:
            message = json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            self.fail(None, PARSE_ERROR, "not JSON: {0}".format(error))
            return None
        if not isinstance(message, dict):
            self.fail(None, INVALID_REQUEST, "a message is a JSON object")
            return None
        return message

    def _skip_rest_of(self, line):
        while line and not line.endswith(b"\n"):
            line = self._incoming.readline(MAX_LINE)

    def _hand_over(self, message):
        with self._state:
            request_id = message.get("id")
            answer = self._waiting.get(request_id) if isinstance(request_id, str) else None
            if answer is not None:
                answer.message = message
                answer.ready.set()

    def _close(self):
        with self._state:
            self._closed = True
            for answer in self._waiting.values():
                answer.ready.set()


class _Answer:
    def __init__(self):
        self.ready = threading.Event()
        self.message = None


def _as_exception(method, error):
    if not isinstance(error, dict):
        error = {"message": error}
    text = "{0}: {1}".format(method, error.get("message"))
    return DeployerException(text, error.get("code"), error.get("data"))


def _as_json(value):
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(
        "{0!r} is a {1}, which JSON cannot say: use dicts, lists, strings, numbers, "
        "booleans and None".format(value, type(value).__name__)
    )
