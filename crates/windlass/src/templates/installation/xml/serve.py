#!/usr/bin/env python3
"""Starts the @KIND@ of this directory.

    serve.py [-n NAME] [-p PATH]

-n NAME   the configuration to use instead of DEFAULT_NAME
-p PATH   a directory in the place of conf; relative paths then start at its parent
"""

import argparse
import os
import sys

# The configuration that is used unless -n says otherwise: conf/@FILE@_<DEFAULT_NAME>.xml
DEFAULT_NAME = "template"

# The program that does the work. WINDLASS_BIN in the environment names another one.
WINDLASS = @BINARY@


def main():
    parser = argparse.ArgumentParser(description="Starts the @KIND@ of this directory.")
    parser.add_argument("-n", dest="name", default=DEFAULT_NAME, help="configuration (%(default)s)")
    parser.add_argument("-p", dest="path", help="a directory in the place of conf")
    options = parser.parse_args()

    here = os.path.dirname(os.path.abspath(__file__))
    program = os.environ.get("WINDLASS_BIN", WINDLASS)
    arguments = [program, "serve", "@KIND@", here, "-n", options.name]
    if options.path is not None:
        arguments += ["-p", options.path]
    try:
        # Takes the place of this process, so that signals reach the @KIND@ itself.
        os.execv(program, arguments)
    except OSError as error:
        sys.exit("{0} cannot be run: {1}. Correct WINDLASS in {2}".format(program, error, __file__))


if __name__ == "__main__":
    main()
