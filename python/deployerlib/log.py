"""The ``self.log`` of generators, commands and behaviours."""

import logging
import sys

_TEXT = logging.Formatter("%(message)s")


class Log(logging.Logger):
    """A standard logger whose records go to Windlass, which writes them to its own log.

    ``call`` is the call being served; without one (a class used outside Windlass) records go to
    stderr. ``remote_host`` and ``tag`` stand in each line; None is written as ``*``.
    """

    def __init__(self, component, call=None, remote_host=None, tag=None):
        super().__init__(component, logging.DEBUG)
        self.call = call
        self.remote_host = remote_host
        self.tag = tag

    def handle(self, record):
        level = _level_name(record.levelno)
        message = _TEXT.format(record)
        if self.call is None:
            sys.stderr.write("[{0}] [{1}] {2}\n".format(level.upper(), self.name, message))
            return
        self.call.log(level, self.name, message, self.remote_host, self.tag)


def _level_name(number):
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warning"
    if number >= logging.INFO:
        return "info"
    return "debug"
