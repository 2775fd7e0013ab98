"""The base class of auth plugins."""

from deployerlib.config import Settings
from deployerlib.log import Log


class AuthPlugin:
    """Says who somebody is, and what they may do. A subclass overrides both methods.

    One object serves one call; what it must remember belongs in the module or on disk.

    self.config   the plugin's configuration: a dict whose keys can be read as attributes too
    self.log      a logger
    """

    config = Settings()

    def __init__(self, call=None):
        self.log = Log(type(self).__name__, call)

    def authenticate(self, credentials):
        """Gives the identity, a dict, of whoever has these credentials, or None."""
        raise NotImplementedError("{0} has no authenticate()".format(type(self).__name__))

    def authorize(self, identity, action, project, environment, target):
        """True if ``identity`` may do that; else the reason why not, a string."""
        raise NotImplementedError("{0} has no authorize()".format(type(self).__name__))
