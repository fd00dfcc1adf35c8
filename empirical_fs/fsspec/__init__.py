"""The files of a project for fsspec: `empirical://report.pdf` for pandas, DuckDB, Dask and many others.

The file names, the listing, the reads and the cache on disk are those of a mount, by engine/; here are only
fsspec's names for them.

    file_system    the file system
    read_only      refuses writes
    open_files     an open file
    window         answers its small reads
    options        checks the storage options
    per_process    opens the project in each process, and translates its errors
    entries        what fsspec is told of a file
    copying        copies files to local ones
    local_files    writes a local file in one step
    paths          for universal_pathlib, which alone imports it

Nothing in a file system or an open file is secret: each process finds the API key again, in its environment
or in the key file that an option names. No other package imports this one.
"""

from empirical_fs.fsspec.file_system import EmpiricalFileSystem
from empirical_fs.fsspec.open_files import EmpiricalFile

__all__ = ["EmpiricalFile", "EmpiricalFileSystem"]
