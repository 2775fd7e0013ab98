"""The auth plugin @PLUGIN@: who somebody is, and what they may do. Fill in the two methods.

It is used where a service's file in conf names it, with `auth` and the word @PLUGIN@. Until it is
filled in it lets nobody in. What is printed here goes to the service's log; a password never should.
"""

from releasemanager.auth import AuthPlugin


class @KLASS@(AuthPlugin):
    """self.config holds the further keys of conf/plugins/auth/plugin_auth_@PLUGIN@, self.log is a logger."""

    def authenticate(self, credentials):
        """Who has these credentials?

        ``credentials`` is the dict that the client sent: username, password, realm, role, or
        whatever you agree on. Give a dict that says who it is, with ``username`` in it at least,
        or None for nobody.
        """
        username = credentials.get("username")
        self.log.warning("%s: @PLUGIN@ is not filled in, so nobody is let in", username)
        return None

    def authorize(self, identity, action, project, environment, target):
        """May they do that?

        ``identity`` is what ``authenticate`` gave; ``action`` is build, install, or one that the
        project declares; ``environment`` and ``target`` are None where it is about none. Give True,
        or a string: the reason why not.
        """
        return "@PLUGIN@ is not filled in"
