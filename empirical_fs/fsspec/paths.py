"""`UPath("empirical://report.pdf")` of universal_pathlib, which warns where a protocol has no class."""

from fsspec import get_filesystem_class
from upath import UPath

# universal_pathlib parses paths as the file system does, if fsspec has loaded that by now.
get_filesystem_class("empirical")


class EmpiricalPath(UPath):
    """A file of a project, or the folder of all."""

    __slots__ = ()
