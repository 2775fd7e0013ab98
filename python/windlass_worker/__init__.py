"""Runs one Python file as a Windlass plugin: ``python3 -u -m windlass_worker FILE.py``.

A file that defines generators, commands, behaviours or an auth plugin as classes is served over
the plugin protocol, on stdin and stdout. Any other file is run as the program that it is.
"""
