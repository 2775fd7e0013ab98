"""The base class of build behaviours."""

from deployerlib.config import Settings
from deployerlib.log import Log


class BuildBehavior:
    """Builds a project. A subclass overrides ``build``.

    self.config   the behaviour's configuration: a dict whose keys can be read as attributes too
    self.log      a logger
    """

    def __init__(self, config=None, call=None):
        self.config = Settings(config or {})
        self.log = Log(type(self).__name__, call)

    def build(self, project, request, work_directory):
        """Builds in ``work_directory`` and gives ``{named target: file}``.

        ``project`` is the project's definition and ``request`` what was asked for, both dicts. A
        file is a path relative to ``work_directory``.
        """
        raise NotImplementedError("{0} has no build()".format(type(self).__name__))
