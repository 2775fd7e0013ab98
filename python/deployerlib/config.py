"""The configuration, as one object."""

import difflib

# The options of the command line: an absent one is None, so that a generator may ask for it.
OPTIONS = ("config", "component", "directory", "tasklist", "hosts", "hostgroups", "redeploy")


class Settings(dict):
    """A dict whose keys can be read and set as attributes too, at every depth.

    A key that is also the name of a dict method (``items``, ``get``, ...) is reached by ``[]``.
    """

    def __init__(self, values=()):
        super().__init__()
        for key, value in dict(values).items():
            self[key] = _settings(value)

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(self._no_such_key(name)) from None

    def __setattr__(self, name, value):
        self[name] = value

    def __delattr__(self, name):
        try:
            del self[name]
        except KeyError:
            raise AttributeError(self._no_such_key(name)) from None

    def _no_such_key(self, name):
        near = difflib.get_close_matches(name, [key for key in self if isinstance(key, str)], 1)
        hint = ": did you mean '{0}'?".format(near[0]) if near else ""
        return "the configuration has no key '{0}'{1}".format(name, hint)


class Config(Settings):
    """What a generator sees as ``self.config``: the config file, and over it the options.

    In a script, ``Config(args)`` wraps what ``CommandLine()`` parsed. The file itself is then read
    by Windlass when the tasklist is made, so only the options are in it.
    """

    def __init__(self, config=(), options=()):
        super().__init__(config if hasattr(config, "keys") else vars(config) if config else {})
        for key, value in dict(options).items():
            if value is not None or key not in self:
                self[key] = _settings(value)

    def __getattr__(self, name):
        if name in OPTIONS and name not in self:
            return None
        return super().__getattr__(name)


def _settings(value):
    if isinstance(value, dict):
        return Settings(value)
    if isinstance(value, (list, tuple)):
        return [_settings(item) for item in value]
    return value
