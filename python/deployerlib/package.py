"""A package: one file to deploy."""


class Package:
    """One file to deploy, as Windlass found it.

    service, servicename   the service it belongs to
    version                its version, a string
    filename               the file's name without its directory
    path, fullpath         the absolute path of the file on this machine
    sha256                 its digest, in hexadecimal
    """

    def __init__(self, service, version, filename, path, sha256=None):
        self.service = service
        self.version = version
        self.filename = filename
        self.path = path
        self.sha256 = sha256

    @classmethod
    def from_wire(cls, fields):
        return cls(
            fields["service"],
            fields["version"],
            fields["filename"],
            fields["path"],
            fields.get("sha256"),
        )

    def to_wire(self):
        return {
            "service": self.service,
            "version": self.version,
            "filename": self.filename,
            "path": self.path,
            "sha256": self.sha256,
        }

    @property
    def servicename(self):
        return self.service

    @property
    def fullpath(self):
        return self.path

    def __repr__(self):
        return "Package({0!r}, {1!r}, {2!r})".format(self.service, self.version, self.path)
