"""The methods of the protocol, served by a plugin's classes."""

import inspect
import threading

from deployerlib.command import Command
from deployerlib.config import Config, Settings
from deployerlib.generator import Generator
from deployerlib.remotehost import RemoteHost, Result
from releasemanager.auth import AuthPlugin
from releasemanager.builder import BuildBehavior
from releasemanager.installer import InstallBehavior
from windlass_worker import describe, wire
from windlass_worker.server import Rejected

PROTOCOL = 1
_SUFFIXES = {
    Generator: ("Generator",),
    Command: (),
    BuildBehavior: ("BuildBehavior", "Behavior", "Builder"),
    InstallBehavior: ("InstallBehavior", "Behavior", "Installer"),
    AuthPlugin: (),
}


class Calls:
    """Each method takes the call's params and the Call, and gives the result."""

    def __init__(self, plugin):
        self._plugin = plugin
        self._instances = {}
        self._lock = threading.Lock()

    def methods(self):
        return {
            "describe": self.describe,
            "generate": self.generate,
            "initialize": self.initialize,
            "execute": self.execute,
            "build": self.build,
            "install": self.install,
            "get_version": self.get_version,
            "reset_version": self.reset_version,
            "authenticate": self.authenticate,
            "authorize": self.authorize,
        }

    def describe(self, params, _call):
        protocol = params.get("protocol", PROTOCOL)
        if protocol != PROTOCOL:
            text = "this plugin speaks protocol {0}, not {1}".format(PROTOCOL, protocol)
            raise Rejected(wire.INVALID_PARAMS, text)
        return {
            "protocol": PROTOCOL,
            "generators": self._entries(Generator),
            "commands": [describe.command_entry(cls, name) for name, cls in self._named(Command)],
            "build_behaviours": self._entries(BuildBehavior),
            "install_behaviours": self._entries(InstallBehavior),
            "auth": bool(self._named(AuthPlugin)),
        }

    def generate(self, params, call):
        cls = self._find(Generator, _get(params, "generator"))
        config = Config(params.get("config") or {}, params.get("options") or {})
        return cls(config, call).generate()

    def initialize(self, params, call):
        """Makes the command, and keeps it for `execute` if it is good."""
        command, good = self._new_command(params, call)
        instance = _get(params, "instance")
        with self._lock:
            if good is True:
                self._instances[instance] = (_identity(params), command)
            else:
                self._instances.pop(instance, None)
        return good

    def execute(self, params, call):
        """One that this process has not seen initialized is initialized first."""
        command = self._known_command(params)
        if command is None:
            good = self.initialize(params, call)
            if good is not True:
                return {"result": False, "output": _why_not(good)}
            command = self._known_command(params)
        command.remote_host.call = call
        command.log.call = call
        command.log.remote_host = command.remote_host.hostname
        result = command.execute()
        if result:
            # A failed one may be retried; this one has been used up.
            with self._lock:
                self._instances.pop(params["instance"], None)
        if isinstance(result, Result):
            return {"result": result.succeeded, "output": str(result)}
        return None if result is None else bool(result)

    def build(self, params, call):
        cls = self._find(BuildBehavior, _get(params, "behaviour"))
        behaviour = cls(params.get("config"), call)
        resources = behaviour.build(
            params.get("project"), params.get("request"), _get(params, "work_directory")
        )
        return {"resources": resources}

    def install(self, params, call):
        return bool(self._install_behaviour(params, call)(_get(params, "resource")))

    def get_version(self, params, call):
        return {"version": self._install_behaviour(params, call).get_version()}

    def reset_version(self, params, call):
        return {"version": self._install_behaviour(params, call).reset_version()}

    def authenticate(self, params, call):
        plugin = self._auth_plugin(params, call)
        identity = plugin.authenticate(_get(params, "credentials"))
        return None if not identity else {"identity": identity}

    def authorize(self, params, call):
        plugin = self._auth_plugin(params, call)
        keys = ("identity", "action", "project", "environment", "target")
        answer = plugin.authorize(*(params.get(key) for key in keys))
        if answer is True:
            return True
        reason = answer if isinstance(answer, str) and answer else "denied by " + type(plugin).__name__
        return {"denied": reason}

    def _new_command(self, params, call):
        cls = self._find(Command, _get(params, "command"))
        arguments = params.get("arguments") or {}
        diagnostics = _check_arguments(cls, arguments)
        if diagnostics:
            return None, {"diagnostics": diagnostics}
        host = RemoteHost(params.get("remote_host"), call)
        command = cls(host, params.get("tag"), call)
        named, _ = describe.arguments_of(cls)
        for parameter in named:
            if parameter.default is parameter.empty:
                setattr(command, parameter.name, arguments[parameter.name])
        from_task = {"remote_host": host, "tag": command.tag}
        wanted = inspect.signature(cls.initialize).parameters
        extra = {name: from_task[name] for name in describe.FROM_TASK if name in wanted}
        good = command.initialize(**dict(arguments, **extra))
        if isinstance(good, dict) and good.get("diagnostics"):
            return command, good
        return command, None if good is None else bool(good)

    def _known_command(self, params):
        with self._lock:
            identity, command = self._instances.get(_get(params, "instance"), (None, None))
        return command if identity == _identity(params) else None

    def _auth_plugin(self, params, call):
        plugin = self._find(AuthPlugin, params.get("plugin"))(call)
        plugin.config = Settings(params.get("config") or {})
        return plugin

    def _install_behaviour(self, params, call):
        cls = self._find(InstallBehavior, _get(params, "behaviour"))
        return cls(
            params.get("target"),
            params.get("environment"),
            params.get("install_path"),
            params.get("config"),
            call,
        )

    def _entries(self, kind):
        return [describe.entry(cls, name) for name, cls in self._named(kind)]

    def _named(self, kind):
        if self._plugin.error is not None:
            raise self._plugin.error.with_traceback(self._plugin.traceback)
        suffixes = _SUFFIXES[kind]
        return [(describe.plugin_name(cls, *suffixes), cls) for cls in self._plugin.of_kind(kind)]

    def _find(self, kind, name):
        """By its name or its class's; the only one of its kind goes by any."""
        named = self._named(kind)
        for known, cls in named:
            if name in (known, cls.__name__):
                return cls
        if len(named) == 1:
            return named[0][1]
        offers = ", ".join(known for known, _ in named) or "none"
        text = "{0} has no {1} '{2}' (it has: {3})".format(
            self._plugin.path, kind.__name__, name, offers
        )
        raise Rejected(wire.INVALID_PARAMS, text)


def _get(params, key):
    if key not in params:
        raise Rejected(wire.INVALID_PARAMS, "params lack '{0}'".format(key))
    return params[key]


def _identity(params):
    return [params.get(key) for key in ("command", "arguments", "remote_host", "tag")]


def _check_arguments(cls, arguments):
    """Missing and unknown arguments, all at once."""
    named, takes_any = describe.arguments_of(cls)
    names = [parameter.name for parameter in named]
    found = []
    for parameter in named:
        if parameter.default is parameter.empty and parameter.name not in arguments:
            text = "argument '{0}' is missing".format(parameter.name)
            found.append({"message": text, "key": parameter.name, "hint": None})
    for key in arguments:
        if key not in names and not takes_any:
            hint = "it takes: " + ", ".join(names) if names else "it takes none"
            found.append(
                {"message": "unknown argument '{0}'".format(key), "key": key, "hint": hint}
            )
    return found


def _why_not(good):
    if isinstance(good, dict):
        return "not initialized: " + "; ".join(
            str(item.get("message")) for item in good["diagnostics"] if isinstance(item, dict)
        )
    return "initialize did not give a true value"
