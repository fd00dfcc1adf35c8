"""Only mounts of this program are unmounted."""

from pathlib import Path

import pytest

from empirical_fs.errors import SetupError
from empirical_fs.mount.unmount import unmount_ours


def test_nothing_to_unmount(tmp_path: Path) -> None:
    """Where nothing of ours is mounted nothing is unmounted."""
    with pytest.raises(SetupError, match="nothing is mounted"):
        unmount_ours(tmp_path, lazy=False)
    with pytest.raises(SetupError, match="not ours"):
        unmount_ours(Path("/"), lazy=False)
