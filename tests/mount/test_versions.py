"""Which answers belong to which version, on a real mount: stores with every kind of validator, and none."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.harness import (
    KEY,
    Mounted,
    empirical_mount,
    environment,
    locked_in_memory,
    mounted,
    noise,
    opened,
    wait_until,
)
from tests.support.signing_api import SigningApi, signing_api
from tests.unit.conftest import Answer, Asked, Server

KIB = 2**10
SIZE = 700 * KIB
OLD, NEW = noise(SIZE, 1), noise(SIZE, 2)
FIRST, SECOND = "2026-01-02T03:04:05Z", "2026-01-02T03:04:06Z"
NAME = "a.bin"
WRONG = (errno.ESTALE, errno.EIO)

TAG, OTHER = {"ETag": '"v1"'}, {"ETag": '"v2"'}
NOON, LATER = {"Last-Modified": "noon"}, {"Last-Modified": "later"}
Headers = dict[str, str]


@dataclass
class Object:
    """What the store has, and how it tells of it."""

    content: bytes
    validators: Headers
    has_ranges: bool = True
    total: str | None = None
    """In place of the size, in a Content-Range."""

    def __call__(self, asked: Asked) -> Answer:
        tag = self.validators.get("ETag", "").strip()
        if tag and asked.headers.get("if-match", tag) != tag:
            return Answer(412, b"", self.validators)
        if not self.has_ranges:
            return Answer(200, self.content, self.validators)
        first, last = (int(each) for each in asked.headers["range"].removeprefix("bytes=").split("-"))
        body = self.content[first : last + 1]
        total = self.total or str(len(self.content))
        if not body:
            return Answer(416, b"", {"Content-Range": f"bytes */{total}"})
        extent = f"bytes {first}-{first + len(body) - 1}/{total}"
        return Answer(206, body, {"Content-Range": extent, **self.validators})


class World:
    """A project of one file, whose store answers by `store.answer`."""

    def __init__(self, store: Server, api: SigningApi, folder: Path) -> None:
        self.store = store
        self.api = api
        self._folder = folder
        self.serve(Object(OLD, TAG))
        self.list(FIRST)

    def serve(self, *turns: Callable[[Asked], Answer]) -> None:
        """Answer by each of these in turn, and by the last one from then on."""
        left = list(turns)

        def answer(asked: Asked) -> Answer:
            turn = left.pop(0) if len(left) > 1 else left[0]
            return turn(asked)

        self.store.answer = answer

    def list(self, updated_at: str, size: int = SIZE) -> None:
        self.api.publish(NAME, size, updated_at)

    def mount(self, *options: str) -> AbstractContextManager[Mounted]:
        return mounted(self._folder / "mnt", self.api.url, "--timeout", "4", *options)

    def reload(self, mount: Mounted) -> None:
        empirical_mount("--reload", mount.path, env=environment(EMPIRICALRUN_KEY=KEY))

    def requests(self) -> int:
        return len([asked for asked in self.store.asked if asked.path != "/"])


@pytest.fixture
def world(server: Server, tmp_path: Path) -> Iterator[World]:
    with signing_api(lambda name: f"{server.url}/{name}") as api:
        yield World(server, api, tmp_path)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def outcome(descriptor: int, size: int, offset: int) -> bytes | int:
    """What a read gives: bytes, or an errno."""
    try:
        return os.pread(descriptor, size, offset)
    except OSError as error:
        return error.errno or -1


def content(path: Path) -> bytes | int:
    """What a whole file gives to who opens it afresh, past the kernel's pages."""
    try:
        with path.open("rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            return b"".join(iter(lambda: file.read(64 * KIB), b""))
    except OSError as error:
        return error.errno or -1


@contextmanager
def half_read(mount: Mounted) -> Iterator[int]:
    """A descriptor of the old version, of which the first bytes were read."""
    with opened(mount / NAME) as descriptor:
        assert os.pread(descriptor, 64 * KIB, 0) == OLD[: 64 * KIB]
        yield descriptor


REPLACED = {
    "ETag": (TAG, OTHER),
    "weak": ({"ETag": 'W/"v1"'}, {"ETag": 'W/"v2"'}),
    "without quotes": ({"ETag": "v1"}, {"ETag": "v2"}),
    "not ASCII": ({"ETag": '"\xe9"'}, {"ETag": '"\xe8"'}),
    "Last-Modified": (NOON, LATER),
    "a version id": ({"x-amz-version-id": "1"}, {"x-amz-version-id": "2"}),
    "one of several": ({**TAG, **NOON}, {**TAG, **LATER}),
    "lost": (TAG, {}),
    "found": ({}, OTHER),
}


@pytest.mark.parametrize("kind", REPLACED)
@pytest.mark.parametrize("has_ranges", [True, False])
@pytest.mark.warns(
    "read /a.bin: (the (file changed|object has)|the store sent something without the object's validators)"
)
def test_a_replaced_object(world: World, kind: str, *, has_ranges: bool) -> None:
    """Bytes of another version never follow those of the first one, whatever tells the versions apart."""
    before, after = REPLACED[kind]
    old, new = Object(OLD, before, has_ranges), Object(NEW, after, has_ranges)
    if not has_ranges:
        # The body breaks off, so that the rest comes by another answer.
        cut = Answer(200, OLD[: 100 * KIB], {**before, "Content-Length": str(SIZE)})
        world.serve(lambda _: cut, new)
    else:
        world.serve(old)
    with world.mount() as mount:
        with half_read(mount) as descriptor:
            if has_ranges:
                world.serve(new)
            assert outcome(descriptor, KIB, SIZE - KIB) in WRONG
        world.list(SECOND)
        world.serve(new)
        world.reload(mount)
        assert content(mount / NAME) == NEW


@pytest.mark.may_warn("read /a.bin: the object has other bytes than before")
@pytest.mark.parametrize("new", [NEW, OLD[: 100 * KIB] + NEW[100 * KIB :], OLD])
@pytest.mark.may_warn("read /a.bin: the (file changed since)")
def test_a_download_that_starts_again(world: World, new: bytes) -> None:
    """Without ranges and validators, what broke off starts again at byte 0, and is one version."""
    cut = Answer(200, OLD[: 100 * KIB], {"Content-Length": str(SIZE)})
    world.serve(lambda _: cut, Object(new, {}, has_ranges=False))
    with world.mount() as mount, opened(mount / NAME) as descriptor:
        got = [outcome(descriptor, 50 * KIB, at * 50 * KIB) for at in range(14)]
    expected: list[bytes | int] = [new[at * 50 * KIB :][: 50 * KIB] for at in range(14)]
    if new is NEW:
        assert got[0] in (OLD[: 50 * KIB], errno.ESTALE)
        assert set(got[2:]) == {errno.ESTALE}
    else:
        assert got == expected


@pytest.mark.parametrize("has_ranges", [True, False])
@pytest.mark.warns("read /a.bin: the (file changed since)")
def test_a_replaced_object_by_the_listing_alone(world: World, *, has_ranges: bool) -> None:
    """A store without validators: once the listing has another version, the old descriptor is ESTALE."""
    world.serve(Object(OLD, {}, has_ranges))
    with world.mount() as mount:
        with opened(mount / NAME) as descriptor:
            assert os.pread(descriptor, 64 * KIB, 0) == OLD[: 64 * KIB]
            world.serve(Object(NEW, {}, has_ranges))
            world.list(SECOND)
            world.reload(mount)
            if has_ranges:
                assert outcome(descriptor, KIB, SIZE - KIB) == errno.ESTALE
            else:
                # What was spooled is of one version.
                assert outcome(descriptor, KIB, SIZE - KIB) in (OLD[-KIB:], errno.ESTALE)
        assert content(mount / NAME) == NEW


@pytest.mark.parametrize("kind", REPLACED)
@pytest.mark.warns(
    "read /a.bin: (the (file changed|object has)|the store sent something without the object's validators)"
)
def test_a_file_that_is_opened_again(world: World, kind: str) -> None:
    """Pages of the old version that the kernel kept are never mixed with bytes of the new one."""
    before, after = REPLACED[kind]
    world.serve(Object(OLD, before))
    with world.mount() as mount:
        with half_read(mount):
            pass
        world.serve(Object(NEW, after))
        with opened(mount / NAME) as descriptor:
            read = [outcome(descriptor, 64 * KIB, at * 64 * KIB) for at in range(4)]
        whole = [[version[at * 64 * KIB :][: 64 * KIB] for at in range(4)] for version in (OLD, NEW)]
        assert any(
            all(piece in (expected, *WRONG) for piece, expected in zip(read, version, strict=True))
            for version in whole
        )


def test_untied_pages_are_not_kept(world: World) -> None:
    """Where nothing tells versions apart, each open reads afresh."""
    world.serve(Object(OLD, {}))
    with world.mount() as mount:
        with half_read(mount):
            pass
        world.serve(Object(NEW, {}))
        with opened(mount / NAME) as descriptor:
            assert outcome(descriptor, 64 * KIB, 0) == NEW[: 64 * KIB]


PORTAL = Answer(200, b"<html>sign in</html>", {"Content-Type": "text/html"})
STRANGE: dict[str, list[Callable[[Asked], Answer]]] = {
    "a portal at first": [lambda _: PORTAL],
    "a portal later": [Object(OLD, TAG), lambda _: PORTAL],
    "a page of the same length": [Object(OLD, TAG), lambda _: Answer(200, bytes(SIZE))],
    "strong and weak in turn": [Object(OLD, TAG), Object(OLD, {"ETag": 'W/"v1"'})] * 3,
    "blanks after a tag": [Object(OLD, TAG), Object(OLD, {"ETag": '"v1" \t'})] * 3,
    "a refusal of what is there": [
        Object(OLD, TAG),
        lambda _: Answer(416, b"", {"Content-Range": f"bytes */{SIZE}"}),
    ],
    "a condition that is met": [Object(OLD, TAG), lambda _: Answer(412, b"", TAG)],
    "a tag that comes and goes": [Object(OLD, TAG), Object(OLD, {})] * 3,
}


@pytest.mark.parametrize("kind", STRANGE)
def test_answers_of_no_use(world: World, kind: str) -> None:
    """An answer that makes no sense does not end a version that has not changed: another one is asked for."""
    world.serve(*STRANGE[kind], Object(OLD, TAG))
    with world.mount() as mount, opened(mount / NAME) as descriptor:
        for at in range(8):
            assert outcome(descriptor, 64 * KIB, at * 64 * KIB) == OLD[at * 64 * KIB :][: 64 * KIB]


@pytest.mark.warns(r"read /a.bin: the store sent something of \d+ bytes, which may be a web page")
def test_a_portal_that_stays(world: World) -> None:
    """While a portal is between, reads are EIO; afterwards the same descriptor reads on."""
    with world.mount() as mount, half_read(mount) as descriptor:
        world.serve(lambda _: PORTAL)
        assert outcome(descriptor, KIB, SIZE - KIB) == errno.EIO
        world.serve(Object(OLD, TAG))
        assert outcome(descriptor, KIB, SIZE - KIB) == OLD[-KIB:]


@pytest.mark.parametrize("listed", [SIZE - 1, SIZE // 2, 0])
@pytest.mark.warns(
    "(read /a.bin: the object has more bytes than|open /a.bin: the store does not say how large)"
)
def test_an_object_that_is_longer_than_listed(world: World, listed: int) -> None:
    """An object that is longer than the listing says, from a store that tells no total, is never cut off."""
    world.list(FIRST, listed)
    world.serve(Object(OLD, TAG, total="*"))
    with world.mount() as mount:
        assert content(mount / NAME) in WRONG


def test_a_total_that_is_not_told(world: World) -> None:
    """A store that tells no total is asked once for the byte behind the last one."""
    world.serve(Object(OLD, TAG, total="*"))
    with world.mount() as mount:
        assert content(mount / NAME) == OLD
    behind = [asked for asked in world.store.asked if asked.headers["range"] == f"bytes={SIZE}-{SIZE}"]
    assert len(behind) == 1


@pytest.mark.parametrize("has_ranges", [True, False])
def test_a_listed_size_of_nothing(world: World, *, has_ranges: bool) -> None:
    """The store is asked once whether a file is empty of which the listing says so: it may know better."""
    world.list(FIRST, 0)
    world.serve(Object(OLD, TAG, has_ranges))
    with world.mount() as mount:
        assert content(mount / NAME) == OLD
        assert (mount / NAME).stat().st_size == SIZE
        world.reload(mount)
        assert (mount / NAME).stat().st_size == SIZE


def test_an_empty_file(world: World) -> None:
    """An empty file is asked for once, and is empty."""
    world.list(FIRST, 0)
    world.serve(Object(b"", TAG))
    with world.mount() as mount:
        for _ in range(3):
            assert content(mount / NAME) == b""
    assert world.requests() == 1


@pytest.mark.parametrize("page", [PORTAL, Answer(503), Answer(206, b"")])
@pytest.mark.warns("open /a.bin: the store (sent|answered)")
def test_a_size_of_nothing_that_cannot_be_asked_for(world: World, page: Answer) -> None:
    """A page in place of a file that is listed as empty is not its content, nor is it empty then."""
    world.list(FIRST, 0)
    world.serve(lambda _: page)
    with world.mount() as mount:
        assert content(mount / NAME) == errno.EIO


def ahead(world: World, mount: Mounted) -> None:
    """The listing is ahead of the store, and somebody reads just then."""
    world.list(SECOND)
    world.reload(mount)
    assert (mount / NAME).read_bytes() == OLD


@pytest.mark.parametrize("was_read", [True, False])
@pytest.mark.parametrize(("before", "after"), [(TAG, OTHER), (NOON, LATER)])
def test_a_listing_ahead_of_the_store(
    world: World, before: Headers, after: Headers, *, was_read: bool
) -> None:
    """What was read of the old object for the new version is dropped at the first open after a refresh."""
    world.serve(Object(OLD, before))
    with world.mount() as mount:
        if was_read:
            assert (mount / NAME).read_bytes() == OLD
        ahead(world, mount)
        world.reload(mount)
        assert (mount / NAME).read_bytes() == OLD
        world.serve(Object(NEW, after))
        world.reload(mount)
        assert (mount / NAME).read_bytes() == NEW

        def costs_nothing() -> bool:
            asked = world.requests()
            world.reload(mount)
            assert (mount / NAME).read_bytes() == NEW
            return world.requests() == asked

        # The kernel may still be told of the new version after it has been read for the first time.
        wait_until(costs_nothing, "a read without a request")


def test_a_store_that_catches_up_by_itself(world: World) -> None:
    """Without any command, the new bytes come within one refresh after the store has them."""
    with world.mount("--refresh", "1") as mount:
        assert (mount / NAME).read_bytes() == OLD
        world.list(SECOND)
        wait_until(lambda: (mount / NAME).stat().st_mtime % 60 == 6, "the new listing")
        assert (mount / NAME).read_bytes() == OLD
        world.serve(Object(NEW, OTHER))
        wait_until(lambda: (mount / NAME).read_bytes() == NEW, "the new bytes", 10)


def test_contents_that_have_settled(world: World) -> None:
    """What has not changed lately is opened again without a request, however often the listing is fetched."""
    with world.mount() as mount:
        for _ in range(3):
            assert (mount / NAME).read_bytes() == OLD
            asked = world.requests()
            world.reload(mount)
            assert (mount / NAME).read_bytes() == OLD
            assert world.requests() == asked


def test_a_store_that_cannot_be_asked_again(world: World) -> None:
    """What the kernel has can be read though nobody can say whether the store has caught up."""
    with world.mount() as mount:
        assert (mount / NAME).read_bytes() == OLD
        ahead(world, mount)
        with locked_in_memory(mount / NAME):
            world.serve(lambda _: Answer(503))
            world.reload(mount)
            assert (mount / NAME).read_bytes() == OLD
            world.serve(Object(NEW, OTHER))
            wait_until(lambda: (mount / NAME).read_bytes() == NEW, "the new bytes")


@pytest.mark.parametrize("body", [OLD, OLD[: SIZE - 1]])
@pytest.mark.parametrize("status", [200, 206])
@pytest.mark.warns("read /a.bin: the store sent more bytes than the head of its answer says")
def test_a_part_that_is_not_as_its_head_says(world: World, status: int, body: bytes) -> None:
    """A body of unknown length with more or fewer bytes than its Content-Range says is not served."""

    def answer(asked: Asked) -> Answer:
        first, last = asked.headers["range"].removeprefix("bytes=").split("-")
        extent = f"bytes {first}-{last}/{SIZE}"
        return Answer(status, body, {"Content-Range": extent, "Content-Length": "", **TAG})

    world.serve(answer)
    with world.mount() as mount, opened(mount / NAME) as descriptor:
        for at in (0, 128 * KIB):
            assert outcome(descriptor, KIB, at + 5) == errno.EIO
