"""What the server that forks our programs does once, as its last import, in place of each program.

Import it nowhere else: what is alive then is never collected.
"""

import asyncio
import encodings.idna
import gc
import mimetypes
import os
import time
from contextlib import suppress
from pathlib import Path

import uvicorn.lifespan.off
import uvicorn.loops.asyncio

from empirical_fs.cli.arguments import parser
from empirical_fs.errors import SetupError
from empirical_fs.fuse.loader import LIBRARY_VARIABLE, load_library
from empirical_fs.sandbox.app import sandbox_app
from empirical_fs.sandbox.plan import Plan
from empirical_fs.sandbox.project import ProjectFolder

_IMPORTED_WHEN_NEEDED = (asyncio, encodings.idna, uvicorn.lifespan.off, uvicorn.loops.asyncio)


def _load_libraries() -> None:
    """Both, as far as they are here; a program takes the one that it is told to, of those that are loaded."""
    kept = dict(os.environ)
    for version in ("2", "3"):
        os.environ[LIBRARY_VARIABLE] = version
        with suppress(SetupError):
            load_library()
    os.environ.clear()
    os.environ.update(kept)


mimetypes.init()
time.strptime("2026", "%Y")
# These compile regular expressions, which `re` keeps.
parser().parse_known_args(["/nowhere"])
# Not in a temporary folder: Python would keep where those are, whatever TMPDIR a program is given.
sandbox_app(ProjectFolder(Path(__file__).parent), "key", Plan(), "http://127.0.0.1")
_load_libraries()

# Each collection in a program would look at all that was imported, and copy the pages that it lies in.
gc.collect()
gc.freeze()
