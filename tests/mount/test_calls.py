"""What each call comes to, on each kind of path and for each user: as on a local file system, read-only."""

from pathlib import Path

import pytest

from tests.models.calls.comparison import UMASKS, differences, ext4_like, fill, options, why_not
from tests.support.harness import Sandbox, mounted

pytestmark = pytest.mark.both_libraries

_FLAGS = 2
"""How many flags an `open` has at most; scripts/soak takes more."""


@pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
@pytest.mark.parametrize("umask", UMASKS)
def test_beside_ext4(sandbox: Sandbox, tmp_path: Path, umask: str) -> None:
    """Every call succeeds or fails as on ext4 with `-o ro`, but for what differs on purpose."""
    fill(sandbox)
    with (
        mounted(tmp_path / "mnt", sandbox.url, *options(umask)) as mount,
        ext4_like(mount, tmp_path) as there,
    ):
        compared, found = differences(mount.path, there, _FLAGS)
        assert not found, "\n".join(map(str, found))
        assert compared > 0
