"""The kernel's read-ahead is raised and never lowered."""

from pathlib import Path

import pytest

from empirical_fs.mount.kernel_read_ahead import widen


@pytest.mark.parametrize(
    ("before", "wanted", "after", "window"),
    [
        ("128", 256, "256", 256),
        ("4096", 256, "4096", 256),
        ("128", 64, "128", 64),
        ("128", 1024, "1024", 1024),
    ],
)
def test_raised_and_not_lowered(tmp_path: Path, before: str, wanted: int, after: str, window: int) -> None:
    """What an administrator has set stays, if it is more; the kernel itself keeps to what the user allows."""
    setting = tmp_path / "0:45" / "read_ahead_kb"
    setting.parent.mkdir()
    setting.write_text(before)
    assert widen("0:45", wanted, tmp_path) == window
    assert setting.read_text() == after


@pytest.mark.parametrize("device", ["", "0:45"])
def test_where_there_is_none(tmp_path: Path, device: str) -> None:
    """A system without it, or that does not let us, is none the worse."""
    assert widen(device, devices=tmp_path) == 128
    assert list(tmp_path.iterdir()) == []
