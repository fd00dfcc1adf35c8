"""What is built once for all tests of a run."""

import fcntl
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.support.harness import environment, run

TOP = Path(__file__).parents[2]


@dataclass(frozen=True)
class Built:
    """What scripts/packaging/build has built."""

    folder: Path

    @property
    def wheel(self) -> Path:
        (wheel,) = self.folder.glob("*.whl")
        return wheel

    @property
    def deb(self) -> Path:
        (deb,) = self.folder.glob("*.deb")
        return deb

    @cached_property
    def listed(self) -> list[str]:
        """The lines that tell of the files in Debian's package."""
        return run("dpkg-deb", "-c", self.deb).stdout.splitlines()

    def names(self) -> set[str]:
        """The files in the wheel."""
        with ZipFile(self.wheel) as wheel:
            return set(wheel.namelist())

    def text(self, ending: str) -> str:
        """The one file in the wheel whose path ends so."""
        with ZipFile(self.wheel) as wheel:
            (name,) = (name for name in wheel.namelist() if name.endswith(ending))
            return wheel.read(name).decode()


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Built:
    base = tmp_path_factory.getbasetemp()
    # The workers of pytest-xdist share the folder above theirs.
    folder = (base if worker_id == "master" else base.parent) / "dist"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            # The interpreter's own folder has the uv of the extra `package`.
            # To compress takes longer than all else.
            quick = environment(DPKG_DEB_COMPRESSOR_TYPE="none")
            run(TOP / "scripts/packaging/build", Path(sys.executable).parent, folder, timeout=170, env=quick)
            (folder / "complete").touch()
    return Built(folder)
