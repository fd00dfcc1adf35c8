"""The memory that the cgroup allows is found in either version, and bounds the default of `--memory`."""

from pathlib import Path

import pytest

from empirical_fs.settings.memory_limit import default_budget, memory_limit

MIB = 2**20


def limit_in(folder: Path, own: str, **files: str) -> int | None:
    """The limit by the lines `own` of /proc and these files, whose names have `__` for `/`."""
    for name, text in files.items():
        path = folder / "cgroup" / name.replace("__", "/").replace("_max", ".max").replace("_in", ".limit_in")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    (folder / "own").write_text(own)
    return memory_limit(folder / "cgroup", folder / "own")


def test_version_2(tmp_path: Path) -> None:
    """The smallest limit on the way to the top counts."""
    own = "0::/user.slice/app\n"
    files = {"user.slice__app__memory_max": "max", "user.slice__memory_max": str(128 * MIB)}
    assert limit_in(tmp_path, own, **files, memory_max=str(512 * MIB)) == 128 * MIB


def test_version_1(tmp_path: Path) -> None:
    """The limit of the controller for memory, and no other's."""
    own = "3:cpuset:/\n4:cpu,memory:/job\n0::/\n"
    assert limit_in(tmp_path, own, memory__job__memory_in_bytes=str(64 * MIB)) == 64 * MIB


@pytest.mark.parametrize("own", ["0::/docker/abc\n", "0::/../host\n", "4:memory:/docker/abc\n"])
def test_a_container_that_sees_only_its_own(tmp_path: Path, own: str) -> None:
    """Where the path is the host's, the limit at the top is ours."""
    files = {"memory_max": str(100 * MIB), "memory__memory_in_bytes": str(100 * MIB)}
    assert limit_in(tmp_path, own, **files) == 100 * MIB


@pytest.mark.parametrize("own", ["", "nonsense", "0::/\n", "4:memory:/\n", "4:cpu:/\n"])
@pytest.mark.parametrize("text", ["max", "9223372036854771712", "", "many"])
def test_no_limit(tmp_path: Path, own: str, text: str) -> None:
    """Without a limit, or anything that can be read, there is none."""
    assert limit_in(tmp_path, own, memory_max=text, memory__memory_in_bytes=text) is None


def test_without_cgroups(tmp_path: Path) -> None:
    """A system that has none has no limit."""
    assert memory_limit(tmp_path, tmp_path / "missing") is None


@pytest.mark.parametrize(
    ("limit", "budget"),
    [
        (None, 256),
        (2**40, 256),
        (1024 * MIB, 256),
        (512 * MIB, 224),
        (256 * MIB, 96),
        (128 * MIB, 32),
        (0, 4),
    ],
)
def test_the_budget(limit: int | None, budget: int) -> None:
    """It leaves room for the process itself, and is never so little that nothing can be read ahead."""
    assert default_budget(limit) == budget * MIB
