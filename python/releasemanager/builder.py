"""The base class of build behaviours."""

import os
import zipfile

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

    def zip(self, work_directory, folder, name):
        """Zips everything in ``folder`` of ``work_directory`` into the file ``name`` there, and gives
        ``name``, as `build` does. What version control keeps for itself is left out. The same
        files give the same bytes."""
        root = os.path.join(work_directory, folder)
        if not os.path.isdir(root):
            raise FileNotFoundError("the source has no folder {0}".format(folder))
        made = os.path.join(work_directory, name)
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in _files(root):
                if os.path.abspath(path) != os.path.abspath(made):
                    _add(archive, path, os.path.relpath(path, root))
        return name


_KEPT_BY_VERSION_CONTROL = (".git", ".svn", ".hg")


def _files(root):
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(set(folders).difference(_KEPT_BY_VERSION_CONTROL))
        for name in sorted(names):
            yield os.path.join(folder, name)


def _add(archive, path, name):
    mode = 0o755 if os.stat(path).st_mode & 0o100 else 0o644
    entry = zipfile.ZipInfo(name.replace(os.sep, "/"), (1980, 1, 1, 0, 0, 0))
    entry.create_system, entry.external_attr = 3, (0o100000 | mode) << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    with open(path, "rb") as source, archive.open(entry, "w", force_zip64=True) as target:
        for block in iter(lambda: source.read(1 << 20), b""):
            target.write(block)
