"""Finds out what a plugin file offers."""

import ast
import importlib.util
import os
import sys

from deployerlib.command import Command
from deployerlib.generator import Generator
from releasemanager.auth import AuthPlugin
from releasemanager.builder import BuildBehavior
from releasemanager.installer import InstallBehavior

KINDS = (Generator, Command, BuildBehavior, InstallBehavior, AuthPlugin)
_LIBRARIES = ("deployerlib", "releasemanager")


class Plugin:
    """A loaded file: its classes by kind, or the exception that loading it raised."""

    def __init__(self, path, classes, error=None):
        self.path = path
        self.classes = classes
        self.error = error
        self.traceback = error.__traceback__ if error is not None else None

    def of_kind(self, kind):
        return [cls for cls in self.classes if issubclass(cls, kind)]


def uses_our_classes(path, _seen=None):
    """Whether the file imports our base classes, itself or through a file beside it.

    The file is only read, not run. One that cannot be read or parsed counts as ours, so that the
    fault is told over the protocol.
    """
    seen = set() if _seen is None else _seen
    seen.add(path)
    try:
        with open(path, "rb") as file:
            tree = ast.parse(file.read(), path)
    except (OSError, SyntaxError, ValueError):
        return True
    for name in _imported_modules(tree):
        top = name.split(".")[0]
        if top in _LIBRARIES:
            return True
        beside = os.path.join(os.path.dirname(path), top + ".py")
        if beside not in seen and os.path.isfile(beside) and uses_our_classes(beside, seen):
            return True
    return False


def _imported_modules(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def load(path):
    """Runs the file as a module and collects the classes that it defines."""
    # A name that no standard module has: a plugin may well be called test.py.
    name = "windlass_plugin_" + os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    try:
        if spec is None:
            raise ImportError("{0} is not a Python file".format(path))
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        return Plugin(path, [], error)
    return Plugin(path, [cls for cls in vars(module).values() if _is_offered(cls, name)])


def _is_offered(value, module_name):
    """Only what the file itself defines; a leading underscore marks a base of its own."""
    return (
        isinstance(value, type)
        and issubclass(value, KINDS)
        and value.__module__ == module_name
        and not value.__name__.startswith("_")
    )
