"""A mount starts without a network from the listing that an earlier one has kept, and is online by itself."""

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.cable import Cable
from tests.support.harness import (
    KEY,
    Mounted,
    Sandbox,
    empirical_mount,
    environment,
    mount_command,
    mounted,
    run,
    said,
    unmount,
    wait_until,
)

TIMEOUT = ("--timeout", "4")
"""Seconds; so long waits a mount that starts while the API is out of reach."""
AT_ONCE = 3.0
"""Seconds: a read that waits for the network fails after the timeout."""
BACK_WITHIN = 30.0
STARTED = "offline, as the API cannot be reached"
WANTED = "offline: this is the listing of 20"
BACK = "127.0.0.1 answers again"


@pytest.fixture
def project(cabled: Sandbox) -> Sandbox:
    cabled.put("a.txt", b"content of a", mtime=1_700_000_000)
    cabled.put("b.pdf", b"%PDF" * 1000, mtime=1_700_000_001)
    cabled.put("page.link", b"https://example.org/page")
    return cabled


class Place:
    """A cache, and mounts that use it."""

    def __init__(self, tmp_path: Path, url: str) -> None:
        self.path = tmp_path / "mnt"
        self.cache = tmp_path / "cache"
        self.url = url
        self.told = ""
        """What the last command that mounted has printed."""

    @contextmanager
    def mount(self, *options: str | Path, key: str = KEY) -> Iterator[Mounted]:
        # The disk of this machine may be nearly full.
        cache = ("--cache-dir", self.cache, "--cache-min-free", "0")
        with mounted(self.path, self.url, *cache, *TIMEOUT, *options, key=key) as mount:
            self.told = mount.printed
            yield mount

    def listings(self) -> list[Path]:
        return [each for each in (self.cache / "v1" / "listings").iterdir() if each.is_file()]


@pytest.fixture
def place(project: Sandbox, cable: Cable, tmp_path: Path) -> Place:
    """A cache with the listing of the project."""
    place = Place(tmp_path, cable.url)
    with place.mount():
        pass
    assert place.told == ""
    return place


def look(mount: Mounted) -> str:
    """All that `ls` and `getfattr` show."""
    return (
        run("ls", "-l", "--full-time", mount.path).stdout
        + run("getfattr", "-d", "--absolute-names", *sorted(mount.path.iterdir())).stdout
    )


def failure(path: Path) -> tuple[int | None, float]:
    """The errno of reading a file, if it fails, and how long that took."""
    begun, number = time.monotonic(), None
    try:
        path.read_bytes()
    except OSError as error:
        number = error.errno
    return number, time.monotonic() - begun


def status(mount: Mounted) -> dict[str, object]:
    (report,) = json.loads(empirical_mount("--status", "--json", mount.path).stdout)
    assert isinstance(report, dict)
    return report


def warnings(mount: Mounted) -> list[str]:
    return [line for line in mount.log_lines() if " WARNING " in line or " ERROR " in line]


@pytest.mark.warns(STARTED, BACK, WANTED)
def test_without_a_network(project: Sandbox, cable: Cable, place: Place) -> None:
    """All is shown as it was, reads fail at once, and with the network all is read, without a remount."""
    with place.mount() as mount:
        before = look(mount)
    cable.refuse()
    with place.mount() as mount:
        assert place.told.count("\n") == 1
        assert f"empirical-mount: {STARTED}" in place.told
        assert look(mount) == before
        assert (mount / "page.url").read_bytes() == b"[InternetShortcut]\r\nURL=https://example.org/page\r\n"
        for name in ("a.txt", "b.pdf", "a.txt"):
            number, seconds = failure(mount / name)
            assert number == errno.EIO
            assert seconds < AT_ONCE, f"{name} took {seconds} s"
        report = status(mount)
        assert (report["offline"], report["listing_from_disk"]) == (True, True)
        shown = empirical_mount("--status", mount.path).stdout
        assert "offline; 127.0.0.1 out of reach for" in shown
        assert "old, kept on disk" in shown
        assert len(warnings(mount)) == 1, "one line for the outage, whatever is read"

        project.put("new.txt", b"new")
        cable.plug()
        wait_until(lambda: failure(mount / "a.txt")[0] is None, "the first read", BACK_WITHIN)
        assert (mount / "a.txt").read_bytes() == b"content of a"
        assert (mount / "b.pdf").read_bytes() == b"%PDF" * 1000
        wait_until(lambda: "new.txt" in mount.names(), "the new file", BACK_WITHIN)
        assert (mount / "new.txt").read_bytes() == b"new"
        assert (status(mount)["offline"], status(mount)["listing_from_disk"]) == (False, False)
    cable.refuse()
    with place.mount("--offline") as mount:
        assert "new.txt" in mount.names(), "what came later was kept, too"


@pytest.mark.warns(WANTED)
@pytest.mark.may_warn(BACK)
@pytest.mark.parametrize("way", ["refuse", "darken"])
def test_what_was_read_before(cable: Cable, place: Place, way: str) -> None:
    """It is read from disk, each file at once, however the network is away; the rest is EIO."""
    with place.mount() as mount:
        assert (mount / "b.pdf").read_bytes() == b"%PDF" * 1000
    getattr(cable, way)()
    with place.mount("--offline") as mount:
        for name, number in (("b.pdf", None), ("a.txt", errno.EIO), ("b.pdf", None)):
            found, seconds = failure(mount / name)
            assert found == number
            assert seconds < AT_ONCE, f"{name} took {seconds} s"
        assert (mount / "b.pdf").read_bytes() == b"%PDF" * 1000
        assert len(warnings(mount)) == 1


@pytest.mark.warns(WANTED)
@pytest.mark.may_warn(BACK)
def test_in_the_dark(cable: Cable, place: Place) -> None:
    """With --offline nothing waits for a network that swallows everything."""
    cable.darken()
    begun = time.monotonic()
    with place.mount("--offline") as mount:
        assert time.monotonic() - begun < 10, "the start waits for no server"
        assert mount.names() == {"a.txt", "b.pdf", "page.url"}
        for name in ("a.txt", "b.pdf", "a.txt"):
            number, seconds = failure(mount / name)
            assert number == errno.EIO
            assert seconds < AT_ONCE, f"{name} took {seconds} s"
        assert len(warnings(mount)) == 1
        assert f"empirical-mount: {WANTED}" in place.told
        cable.plug()
        wait_until(lambda: failure(mount / "a.txt")[0] is None, "the first read", BACK_WITHIN)


@pytest.mark.warns(WANTED, BACK)
def test_offline_where_there_is_a_network(project: Sandbox, place: Place) -> None:
    """The mount is online a moment later; a file that was deleted meanwhile goes, by the API's word."""
    (project.folder / "b.pdf").unlink()
    with place.mount("--offline", "--refresh", "1000") as mount:
        wait_until(lambda: mount.names() == {"a.txt", "page.url"}, "the listing of now", BACK_WITHIN)
        assert (mount / "a.txt").read_bytes() == b"content of a"


@pytest.mark.warns(STARTED)
@pytest.mark.may_warn(BACK)
def test_an_api_that_is_busy(project: Sandbox, cable: Cable, place: Place) -> None:
    """An API that answers with errors is out of reach, too, and deletes nothing."""
    project.plan(faults=[{"on": "list", "action": {"type": "status", "status": 503}}])
    with place.mount() as mount:
        for _ in range(3):
            assert mount.names() == {"a.txt", "b.pdf", "page.url"}
        project.plan(faults=[])
        wait_until(lambda: failure(mount / "a.txt")[0] is None, "the first read", BACK_WITHIN)
        wait_until(lambda: mount.names() and not status(mount)["offline"], "that it is online")


@pytest.mark.warns(STARTED)
@pytest.mark.may_warn(BACK)
def test_an_api_that_answers_with_errors(project: Sandbox, place: Place) -> None:
    """What is not on disk is EIO at once, as for one that does not answer; what is there is read at once."""
    with place.mount() as mount:
        assert (mount / "b.pdf").read_bytes() == b"%PDF" * 1000
    project.plan(faults=[{"on": "any", "action": {"type": "status", "status": 503}}])
    with place.mount() as mount:
        # Reads that are apart are the ones before which the store is asked whether the file has changed.
        for name, wanted in (("a.txt", errno.EIO), ("b.pdf", None), ("a.txt", errno.EIO), ("b.pdf", None)):
            begun = time.monotonic()
            wait_until(lambda since=begun: time.monotonic() > since + 0.5, "a pause")  # type: ignore[misc]
            number, seconds = failure(mount / name)
            assert number == wanted
            assert seconds < 1.5, f"{name} took {seconds} s"
        project.plan(faults=[])
        wait_until(lambda: failure(mount / "a.txt")[0] is None, "the first read", BACK_WITHIN)


@pytest.mark.warns(WANTED)
@pytest.mark.may_warn(BACK)
def test_a_file_that_changed_a_moment_ago(project: Sandbox, cable: Cable, place: Place) -> None:
    """It is read from disk like any other: nobody can say that the store lags behind."""
    project.put("young.txt", b"young")
    with place.mount() as mount:
        assert (mount / "young.txt").read_bytes() == b"young"
        wait_until(lambda: cached(mount / "young.txt") == 100, "it on disk")
    cable.refuse()
    with place.mount("--offline") as mount:
        assert cached(mount / "young.txt") == 100
        assert (mount / "young.txt").read_bytes() == b"young"


@pytest.mark.warns(WANTED)
@pytest.mark.may_warn(BACK)
def test_empty_files(project: Sandbox, cable: Cable, place: Place) -> None:
    """Those whose size the store has told are read; a 0 in the listing may mean that it is unknown."""
    for name in ("read.txt", "fetched.txt", "unread.txt"):
        project.put(name, b"", mtime=1_700_000_000)
    with place.mount() as mount:
        assert cached(mount / "read.txt") == 0
        assert (mount / "read.txt").read_bytes() == b""
        empirical_mount("--prefetch", mount.path, "fetched.txt")
        for name, percent in (("read.txt", 100), ("fetched.txt", 100), ("unread.txt", 0)):
            assert cached(mount / name) == percent
    cable.refuse()
    with place.mount("--offline") as mount:
        for name, percent in (("read.txt", 100), ("fetched.txt", 100), ("unread.txt", 0)):
            assert cached(mount / name) == percent
            assert failure(mount / name)[0] == (None if percent else errno.EIO)


def cached(path: Path) -> int:
    """How much of a file is on disk, in percent."""
    return int(os.getxattr(path, "user.empirical.cached"))


def attempt(place: Place, *options: str, key: str = KEY) -> subprocess.CompletedProcess[str]:
    arguments: tuple[str | Path, ...] = (
        "--api-url",
        place.url,
        "--cache-dir",
        place.cache,
        *options,
        place.path,
    )
    return empirical_mount(*arguments, env=environment(EMPIRICALRUN_KEY=key), check=False)


def test_the_key_of_another(cable: Cable, place: Place) -> None:
    """It starts nothing: the listing is for the key that has fetched it."""
    done = attempt(place, "--offline", key="another-key-0123456789")
    assert done.returncode == 1
    assert "there is no listing of this project" in said(done)
    cable.refuse()
    done = attempt(place, "--timeout", "1", key="another-key-0123456789")
    assert "cannot reach the API" in said(done)


def test_a_key_that_is_refused(place: Place) -> None:
    """It is no outage: a refusal of the API is said, as ever."""
    key = "another-key-0123456789"
    (mine,) = place.listings()
    shutil.copy(mine, mine.with_name("0" * 32))
    assert "refused the key" in said(attempt(place, key=key))


@pytest.mark.parametrize("way", ["damaged", "truncated", "empty"])
def test_a_listing_that_cannot_be_used(cable: Cable, place: Place, way: str) -> None:
    """It is told; with a network the mount starts, and keeps a new one."""
    (path,) = place.listings()
    content = path.read_bytes()
    damaged = bytes([*content[:100], content[100] ^ 1, *content[101:]])
    path.write_bytes({"damaged": damaged, "truncated": content[:-10], "empty": b""}[way])
    done = attempt(place, "--offline")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert "the listing that is kept on disk is not used: " in lines[0]
    assert "is damaged or cannot be read; mount once with the cache and without --offline" in lines[1]
    os.utime(path, (0, 0))
    with place.mount() as mount:
        assert len(mount.names()) == 3
    assert path.read_bytes()[:20] == content[:20]
    assert path.stat().st_size > 100


def test_without_the_cache(place: Place) -> None:
    """--offline alone has nothing to start from."""
    done = empirical_mount("--offline", place.path, env=environment(EMPIRICALRUN_KEY=KEY), check=False)
    assert done.returncode == 2
    assert "--offline needs the cache on disk; give --cache or --cache-dir" in said(done)


def test_nothing_is_kept_without_the_cache(cable: Cable, project: Sandbox, tmp_path: Path) -> None:
    """Without the option nothing is on disk, and without a network nothing starts."""
    variables = {"XDG_CACHE_HOME": str(tmp_path / "home")}
    with mounted(tmp_path / "mnt", cable.url, variables=variables):
        pass
    assert not (tmp_path / "home").exists()


def inside(namespace: subprocess.Popen[bytes], *command: str | Path) -> list[str | Path]:
    return ["nsenter", "-t", str(namespace.pid), "-n", *command]


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("ip") is None, reason="only root may unplug a network")
@pytest.mark.warns(STARTED, BACK)
def test_a_network_that_is_unplugged(tmp_path: Path) -> None:
    """Mount, unmount, unplug, mount, look, plug in, read: in a network of its own."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "a.txt").write_bytes(b"content of a")
    ready, path, log = tmp_path / "ready", tmp_path / "mnt", tmp_path / "log"
    with subprocess.Popen(["unshare", "-n", "sh", "-c", "ip link set lo up && exec sleep 600"]) as namespace:
        wait_until(
            lambda: "LOOPBACK,UP" in run(*inside(namespace, "ip", "link", "show", "lo")).stdout, "its network"
        )
        serve = ("-m", "empirical_fs.sandbox", tmp_path / "project", "--port", "0", "--key", KEY)
        with subprocess.Popen(
            inside(namespace, sys.executable, *serve, "--ready-file", ready),
            stdout=subprocess.DEVNULL,
            env=environment(),
        ) as server:
            try:
                url = wait_until(lambda: ready.exists() and ready.read_text().strip(), "the sandbox")
                options = ("--cache-dir", tmp_path / "cache", "--log-file", log, "--timeout", "3", path)
                start = inside(namespace, *mount_command("--api-url", str(url), *options))
                variables = environment(EMPIRICALRUN_KEY=KEY)
                run(*start, env=variables)
                empirical_mount("-u", path)
                run(*inside(namespace, "ip", "link", "set", "lo", "down"))
                assert "offline, as the API cannot be reached" in run(*start, env=variables).stderr
                assert [each.name for each in path.iterdir()] == ["a.txt"]
                number, seconds = failure(path / "a.txt")
                assert number == errno.EIO
                assert seconds < AT_ONCE
                run(*inside(namespace, "ip", "link", "set", "lo", "up"))
                wait_until(lambda: failure(path / "a.txt")[0] is None, "the first read", BACK_WITHIN)
                assert (path / "a.txt").read_bytes() == b"content of a"
            finally:
                unmount(path)
                server.terminate()
                namespace.kill()
