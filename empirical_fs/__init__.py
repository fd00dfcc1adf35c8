"""A read-only file system for the resources of an Empirical project."""

__version__ = "0.1.0"
