"""The command line of a script that deploys."""

import argparse


class CommandLine(argparse.Namespace):
    """The parsed options, as attributes; one that was not given is None (``redeploy``: False).

    ``argv`` is parsed instead of the script's own arguments when given. ``parents`` are argparse
    parsers (made with ``add_help=False``) whose options are taken too. A wrong option prints the
    usage and ends the script with status 2.
    """

    def __init__(self, argv=None, parents=()):
        super().__init__()
        parser = argparse.ArgumentParser(parents=list(parents))
        add = parser.add_argument
        add("--config", metavar="FILE", help="the platform's configuration, YAML")
        add("--component", nargs="+", metavar="FILE", help="packages to deploy")
        add("--directory", nargs="+", metavar="DIR", help="deploy every package in it")
        add("--tasklist", metavar="FILE", help="run this tasklist instead of making one")
        add("--hosts", nargs="+", metavar="HOST", help="only these hosts")
        add("--hostgroups", nargs="+", metavar="GROUP", help="only these hostgroups")
        add("--redeploy", action="store_true", help="also where the version runs already")
        parser.parse_args(argv, namespace=self)
