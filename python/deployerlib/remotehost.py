"""The host that a command acts on."""

import os

from deployerlib.exceptions import DeployerException


class Result(str):
    """What a command on a host printed, as a string, and how it ended.

    stderr                what it wrote to stderr
    status, return_code   its exit status
    succeeded, failed     whether that was 0
    """

    def __new__(cls, output, stderr="", status=0):
        result = super().__new__(cls, output)
        result.stderr = stderr
        result.status = status
        result.succeeded = status == 0
        return result

    @property
    def stdout(self):
        return str(self)

    @property
    def return_code(self):
        return self.status

    @property
    def failed(self):
        return not self.succeeded


class RemoteHost:
    """A host, remote or local: Windlass does the work over the connection that it already has.

    The methods may be called only while ``execute`` of a command, or an install behaviour, runs;
    they raise DeployerException when the host cannot be reached or the file cannot be moved.
    """

    LOCAL = "local"

    def __init__(self, hostname=None, call=None):
        self.hostname = hostname or self.LOCAL
        self.call = call

    @property
    def is_local(self):
        return self.hostname == self.LOCAL

    def put_remote(self, local_file, remote_dir):
        """Uploads a file into a directory of the host; gives the list of paths uploaded there."""
        return self._ask(
            "put_remote",
            local_file=os.path.abspath(os.fspath(local_file)),
            remote_dir=os.fspath(remote_dir),
        )

    def file_exists(self, path):
        """Whether a file or directory is there."""
        return bool(self._ask("file_exists", path=os.fspath(path)))

    def execute_remote(self, command, use_sudo=False):
        """Runs a shell line; gives a Result. A non-zero status is a result, not an exception."""
        answer = self._ask("execute_remote", command=command, use_sudo=bool(use_sudo))
        result = Result(
            answer.get("output") or "", answer.get("stderr") or "", answer.get("status", 0)
        )
        if "succeeded" in answer:
            result.succeeded = bool(answer["succeeded"])
        return result

    def _ask(self, method, **params):
        if self.call is None:
            raise DeployerException("{0}: there is no Windlass to ask".format(method))
        return self.call.ask(method, **params)

    def __str__(self):
        return self.hostname

    def __repr__(self):
        return "RemoteHost({0!r})".format(self.hostname)
