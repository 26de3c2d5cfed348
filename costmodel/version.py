"""The version, which pages name and the build reads."""

__version__ = "0.1.0"
