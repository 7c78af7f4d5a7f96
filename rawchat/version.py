"""The version, in one place: the package, its metadata and the User-Agent all take it from here."""

__version__ = "0.1.0"
