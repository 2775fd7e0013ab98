"""Serves the calls of Windlass, each in a thread."""

import os
import queue
import threading
import time
import traceback

from windlass_worker import wire

MAX_RUNNING = 32
MAX_QUEUED = 100000
_STACK_BYTES = 4 * 1024 * 1024
_LAST_WORDS_SECONDS = 1.0
_MAX_TEXT = 64 * 1024
_OUR_FOLDER = os.path.dirname(os.path.abspath(__file__))


class Rejected(Exception):
    """A call that is at fault itself; `code` is the JSON-RPC error code."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Call:
    """One call being served: what a plugin's class asks of Windlass, it asks for this call."""

    def __init__(self, connection, request_id):
        self._connection = connection
        self._id = request_id

    def ask(self, method, **params):
        params["call"] = self._id
        return self._connection.ask(method, params)

    def log(self, level, component, message, remote_host=None, tag=None):
        params = {"call": self._id, "level": level, "component": component, "message": message}
        if remote_host is not None:
            params["remote_host"] = remote_host
        if tag is not None:
            params["tag"] = tag
        self._connection.notify("log", params)


class Server:
    """Reads requests and has them answered by `calls.METHOD(params, call)`.

    At most 32 run at once; the others wait their turn. The reading thread never waits for them,
    since they wait for answers that it must read.
    """

    def __init__(self, connection, calls):
        self._connection = connection
        self._calls = calls
        self._queue = queue.Queue(MAX_QUEUED)
        self._lock = threading.Lock()
        self._unfinished = 0
        self._threads = []

    def serve(self):
        """Gives back after the end of input, when the running calls have had a moment to end."""
        threading.stack_size(_STACK_BYTES)
        for request in self._connection.requests():
            self._accept(request)
        last = time.monotonic() + _LAST_WORDS_SECONDS
        while self._unfinished and time.monotonic() < last:
            time.sleep(0.01)

    def _accept(self, request):
        request_id = request.get("id")
        try:
            self._queue.put_nowait(request)
        except queue.Full:
            text = "{0} calls are waiting already: send fewer at once".format(MAX_QUEUED)
            self._connection.fail(request_id, wire.PLUGIN_ERROR, text)
            return
        with self._lock:
            self._unfinished += 1
            busy = self._unfinished > len(self._threads)
        if busy and len(self._threads) < MAX_RUNNING:
            self._start_thread()

    def _start_thread(self):
        thread = threading.Thread(target=self._work, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # The process may not have another one; those that there are will do.
            if not self._threads:
                raise
            return
        self._threads.append(thread)

    def _work(self):
        while True:
            request = self._queue.get()
            try:
                self._serve_one(request)
            finally:
                with self._lock:
                    self._unfinished -= 1

    def _serve_one(self, request):
        request_id = request.get("id")
        try:
            method, params = self._method(request)
            result = method(params, Call(self._connection, request_id))
            if "id" in request:
                self._connection.answer(request_id, result)
        except Rejected as error:
            self._connection.fail(request_id, error.code, str(error))
        except BaseException as error:  # sys.exit() in a plugin ends the call, not the process
            data = {"traceback": trace(error)}
            self._connection.fail(request_id, wire.PLUGIN_ERROR, describe_error(error), data)

    def _method(self, request):
        name = request.get("method")
        params = request.get("params", {})
        if not isinstance(params, dict):
            raise Rejected(wire.INVALID_PARAMS, "params of {0} must be an object".format(name))
        method = self._calls.methods().get(name) if isinstance(name, str) else None
        if method is None:
            raise Rejected(wire.METHOD_NOT_FOUND, "there is no method {0!r}".format(name))
        return method, params


def describe_error(error):
    """``TypeName: text``."""
    text = str(error)
    name = type(error).__name__
    return "{0}: {1}".format(name, text[:_MAX_TEXT]) if text else name


def trace(error):
    """The traceback as text, from the plugin's own first line on."""
    first = error.__traceback__
    while first is not None and _is_ours(first):
        first = first.tb_next
    return "".join(traceback.format_exception(type(error), error, first))[-_MAX_TEXT:]


def _is_ours(frame):
    filename = frame.tb_frame.f_code.co_filename
    return (
        filename.startswith("<frozen ") or os.path.dirname(os.path.abspath(filename)) == _OUR_FOLDER
    )
