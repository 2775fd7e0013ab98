"""What a plugin's classes say of themselves: names, documentation, argument schemas."""

import inspect
import math
import re
import typing

from deployerlib.command import Command
from deployerlib.exceptions import DeployerException

# Parameters of `initialize` that are filled from the task, not from its arguments.
FROM_TASK = ("remote_host", "tag")

_JSON_TYPES = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    list: "array",
    tuple: "array",
    dict: "object",
    type(None): "null",
}
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def plugin_name(cls, *suffixes):
    """``TestCommand`` -> ``test_command``; the first suffix that it ends with is left out."""
    name = cls.__name__
    for suffix in suffixes:
        if name.endswith(suffix) and name != suffix:
            name = name[: -len(suffix)]
            break
    return _WORD_START.sub("_", name).lower()


def entry(cls, name):
    """The members that every kind has in the answer to `describe`."""
    doc = inspect.cleandoc(cls.__doc__) if cls.__doc__ else ""
    return {"name": name, "class": cls.__name__, "doc": doc}


def command_entry(cls, name):
    described = entry(cls, name)
    described["schema"] = argument_schema(cls)
    described["repeat"] = cls.repeat if cls.repeat in ("safe", "ask") else "ask"
    return described


def arguments_of(cls):
    """The parameters of `initialize` that a task fills, and whether it takes any other too."""
    parameters = list(inspect.signature(cls.initialize).parameters.values())[1:]
    named = [
        parameter
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        and parameter.name not in FROM_TASK
    ]
    takes_any = any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters)
    return named, takes_any


def argument_schema(cls):
    """The JSON Schema of a command's arguments, from the signature of `initialize`."""
    named, takes_any = arguments_of(cls)
    hints = _type_hints(cls.initialize)
    properties = {}
    required = []
    for parameter in named:
        if callable(getattr(Command, parameter.name, None)) or parameter.name == "log":
            raise DeployerException(
                "{0}: an argument cannot be called '{1}', every command has an attribute of that "
                "name; call it something else".format(cls.__name__, parameter.name)
            )
        schema = _type_schema(hints.get(parameter.name))
        if parameter.default is parameter.empty:
            required.append(parameter.name)
        elif _is_plain(parameter.default):
            schema = _with_default(schema, parameter.default)
        properties[parameter.name] = schema
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": takes_any,
    }


def _type_hints(function):
    try:
        return typing.get_type_hints(function)
    except Exception:  # a name that is there only for type checkers
        return {}


def _type_schema(hint):
    """An annotation that has no counterpart in JSON allows anything."""
    if hint in (None, inspect.Parameter.empty, typing.Any):
        return {}
    origin = getattr(hint, "__origin__", None)
    if origin is typing.Union or type(hint).__name__ == "UnionType":
        options = [_type_schema(option) for option in hint.__args__]
        return {"anyOf": options} if all(options) else {}
    plain = origin if isinstance(origin, type) else hint
    name = _JSON_TYPES.get(plain) if isinstance(plain, type) else None
    if name is None:
        return {}
    schema = {"type": name}
    items = getattr(hint, "__args__", None)
    if plain is list and items and len(items) == 1:
        item = _type_schema(items[0])
        if item:
            schema["items"] = item
    return schema


def _with_default(schema, default):
    schema = dict(schema, default=default)
    if default is None and schema.get("type"):
        # `name: str = None` is what people write for an optional argument.
        schema["type"] = [schema["type"], "null"]
    return schema


def _is_plain(value):
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, (str, int))
