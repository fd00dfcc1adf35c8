"""What a mount shows of a project: names, attributes, totals, links, and what it leaves out."""

import json
import os
import re
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Mount
from tests.support.harness import (
    KEY,
    Mounted,
    Sandbox,
    empirical_mount,
    environment,
    mounts,
    noise,
    run,
    unmount,
    wait_until,
)
from tests.support.ports import listening

SECOND = 10**9
NEWEST_NS = 1_700_000_000_123_456_000
SIZES = {"empty.txt": 0, "one.bin": 1, "block.bin": 512, "block and one.bin": 513, "report.csv": 70_001}


def warnings(mounted: Mounted) -> list[str]:
    return [line for line in mounted.log_lines() if " WARNING " in line or " ERROR " in line]


@pytest.fixture
def sized(sandbox: Sandbox) -> Sandbox:
    """A project with a file of each of SIZES, of which the last is the newest."""
    for age, (name, size) in enumerate(reversed(SIZES.items())):
        path = sandbox.put(name, noise(size))
        os.utime(path, ns=(NEWEST_NS - age * SECOND, NEWEST_NS - age * SECOND))
    return sandbox


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A web server that must never be called: `accept` finds whether it was."""
    with listening() as server:
        server.setblocking(False)  # noqa: FBT003 - the standard library's own signature
        yield server


def test_sizes_modes_owner_and_times_are_those_of_the_listing(sized: Sandbox, mount: Mount) -> None:
    """Every resource is a regular, read-only file of ours, with the listing's size and its exact time."""
    with mount() as mounted:
        assert mounted.names() == set(SIZES)
        for age, (name, size) in enumerate(reversed(SIZES.items())):
            status = (mounted / name).stat()
            assert stat.filemode(status.st_mode) == "-rw-r--r--"
            assert (status.st_uid, status.st_gid, status.st_nlink) == (os.getuid(), os.getgid(), 1)
            assert (status.st_size, status.st_mtime_ns) == (size, NEWEST_NS - age * SECOND)


def test_ls_shows_the_listing(sized: Sandbox, mount: Mount) -> None:
    """`ls -l --full-time` shows for every resource the size and the time that the API lists."""
    with mount() as mounted:
        shown = run("ls", "-ln", "--time-style=full-iso", mounted.path, env=environment(TZ="UTC0"))
    lines = re.findall(r" (\d+) (\S+) (\S+) \+0000 (.+)$", shown.stdout, re.MULTILINE)
    seen = {(name, size, f"{day}T{moment}") for size, day, moment, name in lines}
    assert seen == {
        (each["name"], str(each["size_bytes"]), each["updated_at"].replace("Z", "000"))
        for each in sized.listing()
    }


def test_umask_and_owner_can_be_chosen(sized: Sandbox, mount: Mount) -> None:
    """`-o umask=,uid=,gid=` are what the attributes show."""
    with mount("-o", f"umask=027,uid={os.getuid()},gid={os.getgid() + 1}") as mounted:
        status = (mounted / "one.bin").stat()
        assert stat.filemode(status.st_mode) == "-rw-r-----"
        assert (status.st_uid, status.st_gid) == (os.getuid(), os.getgid() + 1)
        assert stat.filemode(mounted.path.stat().st_mode) == "drwxr-x---"


def test_root_is_as_new_as_the_newest_file(sized: Sandbox, mount: Mount) -> None:
    """The directory's time is that of the newest resource, and 0 in an empty project."""
    with mount() as mounted:
        status = mounted.path.stat()
        assert stat.filemode(status.st_mode) == "drwxr-xr-x"
        assert status.st_mtime_ns == NEWEST_NS
    for name in SIZES:
        (sized.folder / name).unlink()
    with mount() as mounted:
        assert mounted.names() == set()
        assert mounted.path.stat().st_mtime_ns == 0


def test_inode_numbers_are_unique_and_lasting(sized: Sandbox, mount: Mount) -> None:
    """No two files share an inode number, none has the root's, and a second mount shows the same."""
    with mount() as mounted:
        first = {name: (mounted / name).stat().st_ino for name in SIZES}
        root = mounted.path.stat().st_ino
    with mount() as mounted:
        second = {name: (mounted / name).stat().st_ino for name in SIZES}
    assert len({*first.values(), root}) == len(SIZES) + 1
    assert second == first


def test_ids_of_any_size_have_inode_numbers_of_their_own(sandbox: Sandbox, mount: Mount) -> None:
    """Ids from 0 to the largest that JSON libraries carry give files that can be told apart and read."""
    ids = [0, 1, 2, 2**32 + 1, 2**53 + 1, 2**63 - 2]
    for identity in ids:
        sandbox.put(f"{identity}.txt", str(identity).encode())
    sandbox.override({f"{identity}.txt": {"id": identity} for identity in ids})
    with mount() as mounted:
        inodes = {(mounted / f"{identity}.txt").stat().st_ino for identity in ids}
        assert len(inodes | {mounted.path.stat().st_ino}) == len(ids) + 1
        for identity in ids:
            assert (mounted / f"{identity}.txt").read_bytes() == str(identity).encode()


def test_readdir_agrees_with_stat(sized: Sandbox, mount: Mount) -> None:
    """The file type and the inode number that readdir gives are those that stat gives."""
    with mount() as mounted:
        with os.scandir(mounted.path) as entries:
            seen = {entry.name: (entry.is_file(follow_symlinks=False), entry.inode()) for entry in entries}
        assert seen == {name: (True, (mounted / name).stat().st_ino) for name in SIZES}
        assert run("find", mounted.path, "-mindepth", "1", "-not", "-type", "f").stdout == ""


def test_du_and_blocks(sized: Sandbox, mount: Mount) -> None:
    """Every file counts the 512-byte blocks that its size needs, and `du` adds them up."""
    with mount() as mounted:
        blocks = {name: (mounted / name).stat().st_blocks for name in SIZES}
        assert blocks == {name: -(-size // 512) for name, size in SIZES.items()}
        shown = run("du", "-s", "--block-size=512", mounted.path).stdout.split()[0]
        assert int(shown) == sum(blocks.values())
        apparent = run("du", "-sb", *(mounted / name for name in SIZES), "-c").stdout.splitlines()[-1]
        assert int(apparent.split()[0]) == sum(SIZES.values())


def test_statfs_is_full_and_as_large_as_its_files(sized: Sandbox, mount: Mount) -> None:
    """`df` shows the sum of the sizes, all of it in use, and nothing free."""
    with mount() as mounted:
        space = os.statvfs(mounted.path)
        total = sum(SIZES.values())
        assert total <= space.f_blocks * space.f_frsize < total + space.f_frsize
        assert (space.f_bfree, space.f_bavail, space.f_ffree, space.f_favail) == (0, 0, 0, 0)
        assert space.f_namemax == 255
        assert space.f_flag & os.ST_RDONLY
        shown = run("df", "--output=fstype,pcent,avail", mounted.path).stdout.splitlines()[1].split()
        assert shown == ["fuse.empirical-mount", "100%", "0"]


def test_duplicates_are_told_apart_by_their_ids(sandbox: Sandbox, mount: Mount) -> None:
    """Of resources with one name the lowest id keeps it and the others are `stem (ID).ext`."""
    for folder in "abc":
        sandbox.put(f"{folder}/report.csv", folder.encode())
    sandbox.put("d/README", b"d")
    sandbox.put("e/README", b"e")
    with mount() as mounted:
        assert {name: (mounted / name).read_bytes() for name in mounted.names()} == {
            "report.csv": b"a",
            "report (2).csv": b"b",
            "report (3).csv": b"c",
            "README": b"d",
            "README (5)": b"e",
        }


def test_a_name_that_a_duplicate_would_take_is_not_taken_twice(sandbox: Sandbox, mount: Mount) -> None:
    """A file that is really called `stem (ID).ext` keeps its name, and the duplicate gets another one."""
    sandbox.put("a/x.csv", b"first")
    sandbox.put("b/x.csv", b"second")
    sandbox.put("c/x (2).csv", b"third")
    with mount() as mounted:
        contents = {name: (mounted / name).read_bytes() for name in mounted.names()}
        assert contents["x.csv"] == b"first"
        assert contents["x (2).csv"] == b"third"
        assert sorted(contents.values()) == [b"first", b"second", b"third"]


UNICODE = "\u0645\u0631\u062d\u0628\u0627 \u4e16\u754c \U0001f9ea.md"
HOSTILE = {
    "a/b": "a_b",
    "../../etc/passwd": ".._.._etc_passwd",
    "nul\0byte": "nul_byte",
    "line\nfeed\r\ttab": "line_feed__tab",
    "escape\x1b[31m": "escape_[31m",
    "c1\x85control": "c1_control",
    "lone \ud800 surrogate": "lone _ surrogate",
    "\udfff": "_",
    "n" * 300 + ".tar": "n" * 251 + ".tar",
    "\u00e9" * 200 + ".txt": "\u00e9" * 125 + ".txt",
    "\U0001f600" * 64: "\U0001f600" * 63,
    UNICODE: UNICODE,
    "cafe\u0301.txt": "cafe\u0301.txt",
    "caf\u00e9.txt": "caf\u00e9.txt",
    " leading and trailing ": " leading and trailing ",
    "-rf": "-rf",
    "*?[a]\"'$`\\": "*?[a]\"'$`\\",
    ".hidden": ".hidden",
    "...": "...",
}


def test_hostile_names_become_legal_ones(sandbox: Sandbox, mount: Mount) -> None:
    """Whatever a resource is called, it is one legal file of this directory, and opens with its own bytes."""
    for number, name in enumerate(HOSTILE):
        sandbox.put(f"{number:02}.bin", name.encode(errors="surrogatepass"))
    sandbox.override({f"{number:02}.bin": {"name": name} for number, name in enumerate(HOSTILE)})
    with mount() as mounted:
        assert mounted.names() == set(HOSTILE.values())
        for name, shown in HOSTILE.items():
            assert (mounted / shown).read_bytes() == name.encode(errors="surrogatepass"), shown
        assert warnings(mounted) == []


def test_names_that_mean_directories_are_files_too(sandbox: Sandbox, mount: Mount) -> None:
    """Resources called '', '.', '..' and '_' are four files, of which the last keeps its legal name."""
    names = {"1.bin": "", "2.bin": ".", "3.bin": "..", "4.bin": "_"}
    for path in names:
        sandbox.put(path, path.encode())
    sandbox.override({path: {"name": name} for path, name in names.items()})
    with mount() as mounted:
        contents = {name: (mounted / name).read_bytes() for name in mounted.names()}
        assert contents == {"_": b"4.bin", "_ (1)": b"1.bin", "_ (2)": b"2.bin", "_ (3)": b"3.bin"}


def test_long_names_that_are_cut_stay_apart(sandbox: Sandbox, mount: Mount) -> None:
    """Names that differ past the longest legal name only are both there, and not longer than legal."""
    for number in (1, 2):
        sandbox.put(f"{number}.bin", str(number).encode())
    sandbox.override({f"{number}.bin": {"name": "\u4e16" * 100 + f"{number}.txt"} for number in (1, 2)})
    with mount() as mounted:
        names = mounted.names()
        assert sorted((mounted / name).read_bytes() for name in names) == [b"1", b"2"]
        assert all(len(name.encode()) <= 255 and name.endswith(".txt") for name in names)


def test_only_uploaded_resources_are_there(sandbox: Sandbox, mount: Mount) -> None:
    """A resource whose upload is pending or failed is not shown, and is no reason for a warning."""
    for name in ("uploaded.txt", "pending.txt", "failed.txt"):
        sandbox.put(name, b"x")
    sandbox.override({"pending.txt": {"status": "pending"}, "failed.txt": {"status": "failed"}})
    with mount() as mounted:
        assert mounted.names() == {"uploaded.txt"}
        assert warnings(mounted) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"size_bytes": -1},
        {"size_bytes": " 12"},
        {"size_bytes": 2**63},
        {"size_bytes": True},
        {"size_bytes": [1]},
        {"name": None},
        {"name": 7},
        {"status": None},
    ],
    ids=json.dumps,
)
@pytest.mark.warns(r"resource \d+ cannot be read: its (size_bytes|name|status) is .* \(1 left out\)")
def test_a_malformed_entry_is_left_out(sandbox: Sandbox, mount: Mount, fields: dict[str, Any]) -> None:
    """A resource that was never read is left out with one warning that names its id; others are served."""
    sandbox.put("a.txt", b"good")
    sandbox.put("bad.txt", b"bad")
    sandbox.put("c.txt", b"good")
    sandbox.override({"bad.txt": fields})
    with mount("--refresh", "0") as mounted:
        assert mounted.names() == {"a.txt", "c.txt"}
        assert (mounted / "a.txt").read_bytes() == (mounted / "c.txt").read_bytes() == b"good"
        wait_until(lambda: mounted.names() and sandbox.requests()["list"] >= 4, "three refreshes")
        assert mounted.names() == {"a.txt", "c.txt"}
        (warning,) = warnings(mounted)
        assert "resource 2 " in warning


@pytest.mark.warns(r"an entry without an id and \d+ more of the listing cannot be read")
def test_entries_without_a_usable_id_cost_only_themselves(sandbox: Sandbox, mount: Mount) -> None:
    """Entries whose id is no number are left out with a warning, and the others are served."""
    names = ("good.txt", "text.txt", "none.txt", "negative.txt", "fraction.txt")
    for name in names:
        sandbox.put(name, name.encode())
    sandbox.override(
        {
            "text.txt": {"id": "x"},
            "none.txt": {"id": None},
            "negative.txt": {"id": -1},
            "fraction.txt": {"id": 1.5},
        },
    )
    with mount() as mounted:
        assert mounted.names() == {"good.txt"}
        assert (mounted / "good.txt").read_bytes() == b"good.txt"
        assert 1 <= len(warnings(mounted)) <= 4


def test_fields_that_nobody_needs_may_be_anything(sandbox: Sandbox, mount: Mount) -> None:
    """Strange descriptions, types and access levels do not cost a file."""
    sandbox.put("a.txt", b"a")
    sandbox.override(
        {"a.txt": {"description": [1], "mime_type": None, "access_level": {}, "project_id": "x"}}
    )
    with mount() as mounted:
        assert (mounted / "a.txt").read_bytes() == b"a"


BASE = 1_714_979_289  # 2024-05-06T07:08:09Z
TIMES: dict[str, tuple[dict[str, Any], int]] = {
    "zulu": ({"updated_at": "2024-05-06T07:08:09Z"}, BASE * SECOND),
    "fraction": ({"updated_at": "2024-05-06T07:08:09.123456789Z"}, BASE * SECOND + 123_456_789),
    "tenth": ({"updated_at": "2024-05-06T07:08:09.1Z"}, BASE * SECOND + 100_000_000),
    "finer": ({"updated_at": "2024-05-06T07:08:09.1234567899Z"}, BASE * SECOND + 123_456_789),
    "east": ({"updated_at": "2024-05-06T12:38:09.5+05:30"}, BASE * SECOND + 500_000_000),
    "west": ({"updated_at": "2024-05-05T23:08:09-08:00"}, BASE * SECOND),
    "null": ({"updated_at": None, "created_at": "2024-05-06T07:08:09Z"}, BASE * SECOND),
    "garbage": ({"updated_at": "yesterday", "created_at": "2024-05-06T07:08:09Z"}, BASE * SECOND),
    "number": ({"updated_at": BASE, "created_at": None}, BASE * SECOND),
    "milliseconds": ({"updated_at": BASE * 1000 + 5}, BASE * SECOND + 5_000_000),
    "digits": ({"updated_at": f"{BASE}.25"}, BASE * SECOND + 250_000_000),
    "HTTP date": ({"updated_at": "Mon, 06 May 2024 07:08:09 GMT"}, BASE * SECOND),
    "basic": ({"updated_at": "20240506T070809Z"}, BASE * SECOND),
    "impossible": (
        {"updated_at": "2024-02-30T07:08:09Z", "created_at": "2024-05-06T07:08:09Z"},
        BASE * SECOND,
    ),
    "nothing": ({"updated_at": None, "created_at": None}, 0),
    "garbage twice": ({"updated_at": "", "created_at": "?"}, 0),
    "before 1970": ({"updated_at": "1969-12-31T23:59:58.25Z"}, -2 * SECOND + 250_000_000),
    "far future": ({"updated_at": "2400-01-01T00:00:00Z"}, 13_569_465_600 * SECOND),
}


@pytest.mark.warns("cannot be read: its updated_at is not a date")
def test_times_are_right_to_the_nanosecond(sandbox: Sandbox, mount: Mount) -> None:
    """Fractions and offsets count; what is no timestamp falls back to created_at, then to 0, never to now."""
    for name in TIMES:
        sandbox.put(name, b"x")
    sandbox.override({name: fields for name, (fields, _) in TIMES.items()})
    with mount() as mounted:
        shown = {name: (mounted / name).stat().st_mtime_ns for name in TIMES}
        assert shown == {name: expected for name, (_, expected) in TIMES.items()}
        assert mounted.path.stat().st_mtime_ns == max(shown.values())


def test_links_are_shortcuts_and_never_fetched(
    sandbox: Sandbox, mount: Mount, listener: socket.socket
) -> None:
    """A link is a small NAME.url for the browser; nobody calls the page, and the store is not asked."""
    page = f"http://127.0.0.1:{listener.getsockname()[1]}/sheet?gid=1&x=a b"
    sandbox.put("Budget.link", page.encode())
    content = f"[InternetShortcut]\r\nURL={page.replace(' ', '%20')}\r\n".encode()
    with mount() as mounted:
        assert mounted.names() == {"Budget.url"}
        assert (mounted / "Budget.url").read_bytes() == content
        assert (mounted / "Budget.url").stat().st_size == len(content)
        assert run("tail", "-c", "5", mounted / "Budget.url").stdout.encode() == content[-5:].replace(
            b"\r", b""
        )
        assert sandbox.requests()["object"] == sandbox.requests()["get"] == 0
    with pytest.raises(BlockingIOError):
        listener.accept()


@pytest.mark.warns(r"resource \d+ and \d+ more of the listing cannot be read: its url is neither")
def test_a_link_that_no_browser_should_open_is_left_out(sandbox: Sandbox, mount: Mount) -> None:
    """Links to files or scripts, and those with a second line in them, make no working shortcut."""
    sandbox.put("a.txt", b"a")
    for name in ("script", "file", "lines"):
        sandbox.put(f"{name}.link", b"https://example.com/")
    sandbox.override(
        {
            "script.link": {"url": "javascript:alert(1)"},
            "file.link": {"url": "file:///etc/passwd"},
            "lines.link": {"url": "https://example.com/\r\nIconFile=//evil/x"},
        },
    )
    with mount() as mounted:
        assert {"a.txt"} <= mounted.names() <= {"a.txt", "lines.url"}
        for name in mounted.names() - {"a.txt"}:
            content = (mounted / name).read_bytes()
            assert content.count(b"\n") == 2
            assert content.startswith(b"[InternetShortcut]\r\nURL=https://example.com/")


@pytest.mark.parametrize("size", [0, 1, 300_000])
def test_an_unknown_size_is_found_once(sandbox: Sandbox, mount: Mount, size: int) -> None:
    """The size of an upload that the API gives none for is found by one GET of one byte, and only once."""
    content = noise(size)
    sandbox.put("a.bin", content)
    sandbox.override({"a.bin": {"size_bytes": None}})
    with mount("--refresh", "0") as mounted:
        assert (mounted / "a.bin").stat().st_size == size
        wait_until(lambda: mounted.names() and sandbox.requests()["list"] >= 4, "three refreshes")
        assert (mounted / "a.bin").stat().st_size == size
        asked = [each["range"] for each in sandbox.requests()["log"] if each["kind"] == "object"]
        assert asked == ["bytes=0-0"]
        assert (mounted / "a.bin").read_bytes() == content
        asked = [each["range"] for each in sandbox.requests()["log"] if each["kind"] == "object"]
        assert asked.count("bytes=0-0") == (1 if size != 1 else 2)
        assert sandbox.requests()["head"] == 0


@pytest.mark.warns(r"the size of resource \d+ is not known yet: the store refused the signed URL")
def test_a_size_that_cannot_be_found_does_not_cost_the_file(sandbox: Sandbox, mount: Mount) -> None:
    """An upload whose size the store would not tell at first is read whole once it does."""
    content = noise(200_000)
    sandbox.put("a.bin", content)
    sandbox.override({"a.bin": {"size_bytes": None}})
    refusal = {"type": "status", "status": 403}
    sandbox.plan(faults=[{"on": "object", "action": refusal}])
    with mount() as mounted:
        assert mounted.names() == {"a.bin"}
        # Look-ups wait until it is known that the size cannot be found.
        assert (mounted / "a.bin").stat().st_size == 0
        sandbox.plan()
        with (mounted / "a.bin").open("rb") as file:
            assert os.fstat(file.fileno()).st_size == (mounted / "a.bin").stat().st_size == len(content)
            assert file.read() == content


def test_pages_of_a_hundred(sandbox: Sandbox, mount: Mount) -> None:
    """250 resources are listed by three requests, of a hundred each, and all are there."""
    names = {f"{number:03}.txt" for number in range(250)}
    for name in names:
        sandbox.put(name, name.encode())
    with mount() as mounted:
        requests = sandbox.requests()
        assert mounted.names() == names
        assert (mounted / "249.txt").read_bytes() == b"249.txt"
    assert sorted(each["page"] for each in requests["log"]) == [1, 2, 3]
    assert (requests["list"], requests["get"], requests["object"]) == (3, 0, 0)
    assert all(each["authorization"] for each in requests["log"])


def test_a_large_project(sandbox: Sandbox, tmp_path: Path) -> None:
    """Every one of very many resources is listed, by readdir and by stat, and mounting says nothing."""
    count = 5_000
    names = {f"{number:05}.txt" for number in range(count)}
    for name in names:
        (sandbox.folder / name).write_bytes(b"12345")
    path = tmp_path / "mnt"
    try:
        wanted = environment(EMPIRICALRUN_KEY=KEY)
        done = empirical_mount("--api-url", sandbox.url, "--refresh", "1000", path, env=wanted)
        assert (done.stdout, done.stderr) == ("", "")
        assert str(path) in mounts()
        assert run("sh", "-c", f"ls '{path}' | wc -l").stdout.strip() == str(count)
        assert run("sh", "-c", f"find '{path}' -type f -size 5c | wc -l").stdout.strip() == str(count)
        assert {each.name for each in path.iterdir()} == names
        # A page of a busy server may be asked for again by a new connection; a second listing asks for all.
        assert count // 100 <= sandbox.requests()["list"] < 2 * count // 100
    finally:
        unmount(path)


def test_a_path_that_is_not_utf_8_does_not_exist(sized: Sandbox, mount: Mount) -> None:
    """Bytes that are no UTF-8 name no file: ENOENT, and nothing in the log."""
    with mount() as mounted:
        for name in (b"\xff", b"one.bin\xfe", b"\xed\xa0\x80", b"caf\xe9.txt"):
            path = os.path.join(os.fsencode(mounted.path), name)  # noqa: PTH118 - bytes, which Path takes not
            for call in (os.stat, lambda each: os.open(each, os.O_RDONLY), os.listdir):
                with pytest.raises(FileNotFoundError):
                    call(path)
        assert mounted.log_lines() == []
        assert mounted.names() == set(SIZES)
