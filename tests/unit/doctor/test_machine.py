"""What the doctor looks at on this machine: updatedb, the device, the mount point, the table of mounts."""

import os
from pathlib import Path

import pytest

from empirical_fs.doctor import machine
from empirical_fs.doctor.diagnoses import Verdict
from empirical_fs.errors import SetupError


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (None, Verdict.OK),
        ('PRUNEFS = "nfs fuse.empirical-mount"\n', Verdict.OK),
        ('PRUNEFS = "nfs"\n', Verdict.WARNING),
    ],
)
def test_updatedb(tmp_path: Path, text: str | None, verdict: Verdict) -> None:
    """Where there is an updatedb, it is to leave our mounts out."""
    if text is not None:
        (tmp_path / "updatedb.conf").write_text(text)
    finding = machine.updatedb(tmp_path)
    assert finding.verdict == verdict
    assert (finding.advice == "add fuse.empirical-mount to PRUNEFS there") == (verdict is Verdict.WARNING)


@pytest.mark.parametrize("text", [None, "", "user_allow_other\n"])
@pytest.mark.parametrize("option", ["allow_other", "allow_root", "noatime"])
def test_others(tmp_path: Path, text: str | None, option: str) -> None:
    """A file that is missing allows nothing; options that do not let others in ask for nothing."""
    if text is not None:
        (tmp_path / "fuse.conf").write_text(text)
    finding = machine.others(tmp_path, {option: True})
    is_needed = not text and option != "noatime" and os.getuid() != 0
    assert finding.verdict == (Verdict.FAILED if is_needed else Verdict.OK)
    assert ("is in /etc/fuse.conf" in finding.seen) == bool(text)


def test_a_device_that_is_none(tmp_path: Path) -> None:
    """A device that cannot be opened is said to be that."""
    with pytest.raises(SetupError, match=r"cannot be opened: .*; .*docker"):
        machine.device(tmp_path)


def test_mount_points(tmp_path: Path) -> None:
    """A directory that is empty or can be made will do, and is neither made nor touched."""
    missing, file = tmp_path / "a" / "b", tmp_path / "file"
    assert "makes it" in machine.mount_point(missing, nonempty=False).seen
    assert machine.mount_point(tmp_path, nonempty=False).verdict is Verdict.OK
    file.touch()
    assert machine.mount_point(tmp_path, nonempty=True).verdict is Verdict.OK
    unusable = {tmp_path: "not empty", file: "not a directory", file / "b": "not a directory"}
    for place, reason in unusable.items():
        with pytest.raises(SetupError, match=reason):
            machine.mount_point(place, nonempty=False)
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_mount_point_of_others() -> None:
    """A directory that cannot be made is refused."""
    with pytest.raises(SetupError, match="no permission"):
        machine.mount_point(Path("/usr/new/mount"), nonempty=False)


def test_the_table_of_mounts(tmp_path: Path) -> None:
    """/etc/mtab that is not there is said; only users need it."""
    missing = machine.table_of_mounts(tmp_path)
    assert missing.verdict is (Verdict.OK if os.geteuid() == 0 else Verdict.FAILED)
    assert "No such file" in missing.seen
    (tmp_path / "mtab").touch()
    assert machine.table_of_mounts(tmp_path).seen == "can be read"
