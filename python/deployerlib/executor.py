"""Running a tasklist in a script."""

import json
import os
import tempfile

from deployerlib.exceptions import DeployerException
from deployerlib.program import Program
from deployerlib.tasklist import TasklistData, read


class Executor:
    """Checks a tasklist when made, and runs it.

    ``tasklist`` is what ``Tasklist(...).tasklist`` gave, or a dict of one's own. ``config`` (a
    ``Config``) is needed only with the latter, and only for finding commands beside the config.
    Raises DeployerException when the tasklist is wrong; windlass has then logged where.
    """

    def __init__(self, tasklist, config=None):
        known = isinstance(tasklist, TasklistData)
        self._program = tasklist.program if known else Program()
        config_file = config.config if config is not None else None
        if config_file is None and known:
            config_file = tasklist.config_file
        self._folder = None
        self._options = ["--tasklist", self._file_of(tasklist)]
        if config_file:
            self._options += ["--config", config_file]
        self._program.run(["plan"] + self._options, take_stdout=True)

    def run(self):
        """Runs it to its end. Gives True; raises DeployerException when it failed."""
        self._program.run(["deploy"] + self._options)
        return True

    def _file_of(self, tasklist):
        file = getattr(tasklist, "file", None)
        if file and read(file) == tasklist:
            return file
        self._folder = tempfile.TemporaryDirectory(prefix="windlass-")
        path = os.path.join(self._folder.name, "tasklist.json")
        try:
            text = json.dumps(tasklist, indent=2, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise DeployerException("the tasklist is not JSON: {0}".format(error)) from error
        with open(path, "w", encoding="utf-8") as target:
            target.write(text)
        return path
