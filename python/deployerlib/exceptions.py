"""The one exception of this library."""


class DeployerException(Exception):
    """Something that Windlass, or a plugin, could not do. Its text says what.

    ``code`` and ``data`` are those of the JSON-RPC error that it came from; where windlass was run,
    ``code`` is its exit status. Else both are None.
    """

    def __init__(self, message="", code=None, data=None):
        super().__init__(message)
        self.code = code
        self.data = data
