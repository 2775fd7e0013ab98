"""The base class of generators."""

from deployerlib.config import Config
from deployerlib.exceptions import DeployerException
from deployerlib.log import Log
from deployerlib.package import Package


class Generator:
    """Makes a tasklist. A subclass overrides ``generate``.

    self.config   the config file with the command line's options over it: a dict whose keys can
                  be read as attributes too. An option that was not given is None.
    self.log      a logger
    """

    def __init__(self, config=None, call=None):
        self.config = config if config is not None else Config()
        self.log = Log(type(self).__name__, call)
        self._call = call

    def generate(self):
        """Gives the tasklist, a dict."""
        raise NotImplementedError("{0} has no generate()".format(type(self).__name__))

    def get_packages(self):
        """The packages that the command line names, as a list of Package objects."""
        return [Package.from_wire(fields) for fields in self._ask("get_packages")]

    def get_remote_versions(self, packages):
        """``versions[service][host]``: the version that runs there, None where there is none.

        A host that cannot be reached has None too; Windlass warns of it.
        """
        return self._ask(
            "get_remote_versions", packages=[package.to_wire() for package in packages]
        )

    def get_graphite_stage(self, metric_suffix):
        """A stage for the tasklist that sends a metric to graphite."""
        return self._ask("get_graphite_stage", metric_suffix=metric_suffix)

    def _ask(self, method, **params):
        if self._call is None:
            raise DeployerException("{0}: there is no Windlass to ask".format(method))
        return self._call.ask(method, **params)
