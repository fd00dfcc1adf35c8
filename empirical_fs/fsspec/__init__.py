"""The files of a project for fsspec: `empirical://report.pdf` for pandas, DuckDB, Dask and many others.

The file names, the listing, the reads and the cache on disk are those of a mount, by engine/; here are only
fsspec's names for them. file_system.py is the file system (read_only.py refuses writes), open_files.py an
open file, window.py what answers its small reads. options.py checks the storage options, entries.py is what
fsspec is told of a file, local_files.py writes copies. paths.py is imported by universal_pathlib alone.

Nothing in a file system or an open file is secret: each process finds the API key again, in its environment
or in the key file that an option names. No other package imports this one.
"""

from empirical_fs.fsspec.file_system import EmpiricalFileSystem
from empirical_fs.fsspec.open_files import EmpiricalFile

__all__ = ["EmpiricalFile", "EmpiricalFileSystem"]
