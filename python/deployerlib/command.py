"""The base class of commands."""

from deployerlib.log import Log
from deployerlib.remotehost import RemoteHost


class Command:
    """One kind of task. A subclass overrides ``execute``, and best ``initialize`` too.

    The parameters of ``initialize`` are the arguments that a task may have; one without a default
    is required, and is set as an attribute before ``initialize`` runs. An annotation gives an
    argument its type (``str``, ``int``, ``float``, ``bool``, ``list``, ``dict``, ``Optional[...]``).

    self.log           a logger
    self.remote_host   the host of the task, a RemoteHost; the local one if the task names none
    self.tag           the task's tag, or None

    ``repeat`` says whether the command may be done again when it is not known whether it was done:
    "safe", or "ask" for asking the operator.

    Several commands run at once, each object in a thread of its own.
    """

    repeat = "ask"

    def __init__(self, remote_host=None, tag=None, call=None):
        self.remote_host = remote_host if remote_host is not None else RemoteHost(None, call)
        self.tag = tag
        self.log = Log(type(self).__name__, call, tag=tag)

    def initialize(self, **arguments):
        """Checks the arguments; nothing is done yet, and no host can be asked.

        The command is good if this gives a true value.
        """
        for name, value in arguments.items():
            setattr(self, name, value)
        return True

    def execute(self):
        """Does the work. The task succeeded if this gives a true value."""
        raise NotImplementedError("{0} has no execute()".format(type(self).__name__))
