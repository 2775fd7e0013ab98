"""Base classes for Windlass generators and commands, and a small library for scripts that deploy.

A generator or a command is a class in a file that Windlass runs as a plugin:

* ``generators/PLATFORM.py`` beside the config: a subclass of ``deployerlib.generator.Generator``.
* ``commands/NAME.py`` beside the config or the tasklist: a subclass of ``deployerlib.command.Command``.

``CommandLine``, ``Config``, ``Tasklist`` and ``Executor`` are for a script of one's own that makes
and runs a tasklist; they call the ``windlass`` program.
"""
