"""Making a tasklist in a script."""

import json
import os
import re

from deployerlib.exceptions import DeployerException
from deployerlib.program import Program

_PLATFORM = re.compile(r"""^platform:[ \t]*["']?([\w.-]+)["']?[ \t]*(?:#.*)?$""", re.MULTILINE)


class TasklistData(dict):
    """A tasklist that remembers where it came from, so that its commands are found there.

    program       the Program that made it
    config_file   the config that it was made from, or None
    file          the file that it was read from, or None
    """

    def __init__(self, values, program, config_file=None, file=None):
        super().__init__(values)
        self.program = program
        self.config_file = config_file
        self.file = file


class Tasklist:
    """Runs the generator, or reads the file that ``--tasklist`` names.

    ``builder`` is the class name of the generator. The config's ``platform`` says which generator
    runs; one that is plainly another is an error. ``self.tasklist`` is the tasklist, a dict.
    Raises DeployerException when there is none; windlass has then logged why.
    """

    def __init__(self, config, builder=None):
        self._config = config
        program = Program()
        config_file = _config_file(config)
        if config.tasklist:
            data = read(config.tasklist)
            self.tasklist = TasklistData(data, program, config.config, config.tasklist)
            return
        if builder and config_file:
            _check_builder(config_file, builder)
        text = program.run(["plan"] + _options(config) + ["--dump"], take_stdout=True)
        self.tasklist = TasklistData(_parse(text, "windlass plan --dump"), program, config_file)


def read(path):
    """The tasklist in a file."""
    try:
        with open(path, encoding="utf-8") as file:
            return _parse(file.read(), path)
    except (OSError, UnicodeDecodeError) as error:
        raise DeployerException("cannot read the tasklist {0}: {1}".format(path, error)) from error


def _parse(text, source):
    try:
        data = json.loads(text)
    except ValueError as error:
        raise DeployerException("{0}: not JSON: {1}".format(source, error)) from error
    if not isinstance(data, dict):
        raise DeployerException("{0}: a tasklist is a JSON object".format(source))
    return data


def _options(config):
    options = []
    if config.config:
        options += ["--config", config.config]
    for name in ("component", "directory", "hosts", "hostgroups"):
        values = config.get(name)
        if values:
            options += ["--" + name] + ([values] if isinstance(values, str) else list(values))
    if config.redeploy:
        options.append("--redeploy")
    return options


def _config_file(config):
    """As windlass finds it: the given one, else windlass.yaml here or in a parent folder."""
    if config.config:
        return config.config
    folder = os.getcwd()
    while True:
        path = os.path.join(folder, "windlass.yaml")
        if os.path.isfile(path):
            return path
        if folder == os.path.dirname(folder):
            return None
        folder = os.path.dirname(folder)


def _check_builder(config_file, builder):
    try:
        with open(config_file, encoding="utf-8") as file:
            match = _PLATFORM.search(file.read())
    except (OSError, UnicodeDecodeError):
        return  # windlass says what is wrong with it
    if match is None:
        return
    platform = match.group(1)
    if _letters(builder) in (_letters(platform), _letters(platform) + "generator"):
        return
    own = os.path.join(os.path.dirname(config_file), "generators", platform + ".py")
    try:
        with open(own, encoding="utf-8") as file:
            if re.search(r"^class {0}\b".format(re.escape(builder)), file.read(), re.MULTILINE):
                return
    except (OSError, UnicodeDecodeError):
        pass
    raise DeployerException(
        "{0}: the platform '{1}' is not made by {2}: name the platform that is, or put the class "
        "into {3}".format(config_file, platform, builder, own)
    )


def _letters(name):
    return re.sub(r"[^a-z0-9]", "", name.lower())
