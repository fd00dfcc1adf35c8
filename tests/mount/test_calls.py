"""What each call comes to, on each kind of path and for each user: as on a local file system, read-only."""

import os
from pathlib import Path

import pytest

from empirical_fs.fuse.loader import LIBRARY_VARIABLE
from tests.models.calls.comparison import (
    UMASKS,
    Outcomes,
    differences,
    ext4_like,
    fill,
    options,
    outcomes,
    why_not,
)
from tests.support.harness import Sandbox, mounted

_FLAGS = {"022": 2, "077": 1}
"""How many flags an `open` has at most, by the umask; scripts/soak takes more."""
_CHOSEN = os.environ.get(LIBRARY_VARIABLE)
LIBRARIES = [_CHOSEN] if _CHOSEN else ["2", "3"]
"""One test for both: what ext4 does is the same."""


@pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
@pytest.mark.parametrize("umask", UMASKS)
def test_beside_ext4(sandbox: Sandbox, tmp_path: Path, umask: str) -> None:
    """Every call succeeds or fails as on ext4 with `-o ro`, but for what differs on purpose."""
    fill(sandbox)
    theirs: Outcomes | None = None
    for library in LIBRARIES:
        variables = {LIBRARY_VARIABLE: library}
        with mounted(tmp_path / "mnt", sandbox.url, *options(umask), variables=variables) as mount:
            if theirs is None:
                with ext4_like(mount, tmp_path) as there:
                    theirs = outcomes(there, _FLAGS[umask])
            compared, found = differences(outcomes(mount.path, _FLAGS[umask]), theirs)
        assert not found, "\n".join([f"with libfuse {library}:", *map(str, found)])
        assert compared > 0
