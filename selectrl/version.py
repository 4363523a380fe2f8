"""The version of this package, which datasets and runs record."""

__version__ = "0.1.0"
