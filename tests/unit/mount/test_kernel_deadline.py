"""The deadline of a read stays below the kernel's, where the kernel has one."""

from pathlib import Path

import pytest

from empirical_fs.doctor.diagnoses import Verdict
from empirical_fs.doctor.machine import request_timeout
from empirical_fs.mount.kernel_deadline import DEFAULT, MAXIMUM, below, kernel_deadline


@pytest.mark.parametrize(
    ("default", "most", "sysctl", "seconds"),
    [
        (None, None, None, None),
        ("0", "0", None, None),
        ("15", "0", DEFAULT, 15),
        ("0", "60", MAXIMUM, 60),
        ("100", "60", MAXIMUM, 60),
        ("20", "60", DEFAULT, 20),
        ("nonsense", "60", MAXIMUM, 60),
    ],
)
def test_the_limit(
    tmp_path: Path, default: str | None, most: str | None, sysctl: str | None, seconds: float | None
) -> None:
    """The lower of both, where there is one."""
    for name, text in ((DEFAULT, default), (MAXIMUM, most)):
        if text is not None:
            (tmp_path / name).write_text(f"{text}\n")
    limit = kernel_deadline(tmp_path)
    assert (limit and limit.sysctl, limit and limit.seconds) == (sysctl and f"fs.fuse.{sysctl}", seconds)


@pytest.mark.parametrize("seconds", [1, 4, 15, 60, 1000])
@pytest.mark.parametrize("timeout", [0.5, 4, 30, 300])
def test_the_deadline_stays_below(tmp_path: Path, seconds: int, timeout: float) -> None:
    """With time to spare, and is what was asked for where that fits; the doctor says which."""
    (tmp_path / MAXIMUM).write_text(str(seconds))
    deadline = below(timeout, kernel_deadline(tmp_path))
    assert 0 < deadline <= min(timeout, 0.9 * seconds)
    assert deadline == timeout or deadline >= seconds / 2
    finding = request_timeout(timeout, tmp_path)
    assert finding.verdict is (Verdict.OK if deadline == timeout else Verdict.WARNING)
    assert f"{MAXIMUM} is {seconds} s" in finding.seen


def test_no_limit(tmp_path: Path) -> None:
    """What was asked for is what is, on older kernels too."""
    assert below(30, kernel_deadline(tmp_path)) == 30
    assert request_timeout(30, tmp_path).verdict is Verdict.OK
