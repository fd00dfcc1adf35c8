"""Why the kernel cannot read cached files by itself, as `--status` and `--doctor` say it."""

from dataclasses import replace
from pathlib import Path

import pytest

from empirical_fs.mount.kernel_passthrough import Machine, lacking, refusal, unfit

GOOD = Machine(libfuse=317, has_libfuse=True, kernel="6.12.41+deb13-amd64", is_privileged=True)


def test_nothing_is_in_the_way(tmp_path: Path) -> None:
    assert refusal(GOOD, tmp_path / "not" / "yet", is_direct=False) is None
    assert lacking(replace(GOOD, kernel="10.0-rc1"), is_direct=False) is None


@pytest.mark.parametrize(
    ("machine", "reason"),
    [
        (replace(GOOD, libfuse=314, has_libfuse=False), "libfuse 3.14 does not have it; 3.17 does"),
        (replace(GOOD, libfuse=29, has_libfuse=False), "libfuse 2.9 does not have it; 3.17 does"),
        (replace(GOOD, kernel="6.8.0-31-generic"), "Linux 6.8 does not have it; 6.9 does"),
        (replace(GOOD, kernel="5.15.0"), "Linux 5.15 does not have it; 6.9 does"),
        (replace(GOOD, is_privileged=False), "the process does not have CAP_SYS_ADMIN"),
    ],
)
def test_what_is_in_the_way(machine: Machine, reason: str) -> None:
    said = lacking(machine, is_direct=False)
    assert said is not None
    assert said.startswith(reason)


def test_what_the_user_did_not_ask_for(tmp_path: Path) -> None:
    assert refusal(GOOD, None, is_direct=False) == "the cache on disk is off"
    assert refusal(GOOD, tmp_path, is_direct=True) == "-o direct_io is given"


def test_where_the_cache_is() -> None:
    """Not on another machine, nor in another program, which may stop to answer."""
    for kind in ("ext4", "xfs", "btrfs", "tmpfs", "overlay", "virtiofs", "fuseblk", None):
        assert unfit(kind) is None
    for kind in ("nfs", "nfs4", "cifs", "9p", "fuse.sshfs"):
        assert kind in (unfit(kind) or "")
