"""Runs one Python file as a Windlass plugin: ``python3 -u -m windlass_worker FILE.py``.

A file that defines generators, commands, behaviours or an auth plugin as classes is served over
the plugin protocol, on stdin and stdout. Any other file is run as the program that it is.

Under a limit on the address space, start it with ``MALLOC_ARENA_MAX=2``: otherwise glibc reserves
64 MiB for each of up to 8 threads a processor, and 32 threads need 1.2 GiB instead of 220 MiB.
"""
