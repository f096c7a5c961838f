"""Holds the version; everything else is imported from the package that owns it."""

__all__ = ["__version__"]

__version__ = "0.1.0"
