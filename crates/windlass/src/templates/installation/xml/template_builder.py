#!/usr/bin/env python3
"""Builds the project `template` here and now: no manager, no service, the same build behaviour.

    utils/template_builder.py [--source DIR] [--version V] [-p PATH]

leaves archive/template-V.zip: the resources, and index.json that says which is for which named target. A manager takes
it in with `windlass release import FILE`. It is also a good place to try a new build behaviour: copy this file,
and change PROJECT.
"""

import os
import subprocess
import sys

# The project: conf/builder/release_builder_<PROJECT>.xml says how it is built.
PROJECT = "template"

# The program that carries the Python package. WINDLASS_BIN in the environment names another one.
WINDLASS = @BINARY@


def main():
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    program = os.environ.get("WINDLASS_BIN", WINDLASS)
    try:
        package = subprocess.run([program, "python"], check=True, stdout=subprocess.PIPE)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit("{0} cannot be run: {1}. Correct WINDLASS in {2}".format(program, error, __file__))
    sys.path.insert(0, os.fsdecode(package.stdout).rstrip("\n"))

    from releasemanager import local

    return local.main(here, PROJECT)


if __name__ == "__main__":
    sys.exit(main())
