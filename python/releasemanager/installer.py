"""The base class of install behaviours."""

from deployerlib.config import Settings
from deployerlib.log import Log
from deployerlib.remotehost import RemoteHost


class InstallBehavior:
    """Installs one resource of a release. A subclass overrides ``install`` or ``__call__``.

    self.target         the named target
    self.environment    the environment that it is installed into
    self.install_path   where to, as configured
    self.config         the behaviour's configuration: a dict whose keys can be read as attributes
    self.remote_host    the host to install on, a RemoteHost
    self.log            a logger
    """

    def __init__(self, target=None, environment=None, install_path=None, config=None, call=None):
        self.target = target
        self.environment = environment
        self.install_path = install_path
        self.config = Settings(config or {})
        self.remote_host = RemoteHost(None, call)
        self.log = Log(type(self).__name__, call)

    def __call__(self, resource):
        """Installs the file ``resource``. It succeeded if this gives a true value."""
        return self.install(resource)

    def install(self, resource):
        """The same, for those who like a name better."""
        raise NotImplementedError("{0} has no install()".format(type(self).__name__))

    def get_version(self):
        """The version that is installed, a string, or None."""
        return None

    def reset_version(self):
        """Forgets the version, so that the next install is done whatever was there. Gives the
        version after that, a string or None."""
        return None
