"""The time of the directory, by which programs know that it changed, from mount to mount."""

from pathlib import Path

from tests.support.harness import Mounted, Sandbox, mounted, wait_until

OLD_TIME = 1_600_000_000


def test_the_time_of_the_directory_after_a_deletion(sandbox: Sandbox, tmp_path: Path) -> None:
    """It moves while it is mounted, and in the next mount, if something was deleted between the two."""
    for number, name in enumerate("abc"):
        sandbox.put(name, b"", OLD_TIME + number)

    def times(mount: Mounted) -> tuple[float, float]:
        return mount.path.stat().st_mtime, mount.path.stat().st_ctime

    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    with mounted(tmp_path / "mnt", sandbox.url, "--refresh", "0.2", variables=state) as mount:
        first = times(mount)
        assert first == (OLD_TIME + 2, OLD_TIME + 2)
        (sandbox.folder / "b").unlink()
        wait_until(lambda: mount.names() == {"a", "c"}, "the deletion")
        # The kernel is told of it a moment after the names are there.
        wait_until(lambda: min(times(mount)) > max(first), "the time of the deletion")
        second = times(mount)
    with mounted(tmp_path / "mnt", sandbox.url, variables=state) as mount:
        assert times(mount) == second
    (sandbox.folder / "a").unlink()
    with mounted(tmp_path / "mnt", sandbox.url, variables=state) as mount:
        assert min(times(mount)) > max(second)
