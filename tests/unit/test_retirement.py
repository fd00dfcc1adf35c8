import threading
from collections.abc import Callable, Iterable

import pytest

from empirical_fs.inodes import Inode
from empirical_fs.resource import Resource
from empirical_fs.retirement import Retirement
from empirical_fs.snapshot import Entry

PATIENCE = 10


def entry(updated_ns: int = 0, size: int | None = 1, resource_id: int = 1) -> Entry:
    return Entry(
        "a", Resource(id=resource_id, name="a", url=None, size=size, updated_ns=updated_ns, link=None)
    )


class Libfuse:
    """Notes what it is told; a move calls back as libfuse's rename does."""

    def __init__(self) -> None:
        self.moves: list[str] = []
        self.forgotten: list[str] = []
        self.retirement = Retirement(self, lambda: self.seconds)
        self.is_refused = False
        self.moved = threading.Event()
        self.calling = 1
        self.seconds = 0.0
        self.before: Callable[[], object] = lambda: None
        self.meanwhile: Callable[[], object] = lambda: None

    def move(self, name: str, path: str) -> None:
        self.moves.append(name)
        self.before()
        assert not self.retirement.accept(name, "elsewhere")
        if not self.is_refused:
            assert self.retirement.accept(name, path)
            self.meanwhile()
        self.moved.set()

    def forget(self, names: Iterable[str]) -> None:
        self.forgotten += names

    def caller(self) -> int:
        return self.calling


def looked_up(libfuse: Libfuse, entry: Entry, version: str) -> tuple[Inode, bool] | None:
    """What is opened by who has looked up first."""
    libfuse.retirement.tell("a", entry)
    return libfuse.retirement.open("a", entry, version)


@pytest.fixture
def libfuse() -> Libfuse:
    return Libfuse()


def test_an_open_version_keeps_its_inode(libfuse: Libfuse) -> None:
    """When a name means something else, what is open moves, and the kernel looks the name up again after."""
    opened = looked_up(libfuse, entry(), "v1")
    assert opened is not None
    assert libfuse.retirement.shown_at("a") == entry()
    libfuse.retirement.changed({"a": entry(1), "b": None})
    assert libfuse.moves == ["a"]
    assert libfuse.forgotten == ["a", "b", "a"]
    assert libfuse.retirement.shown_at("a") is None
    assert looked_up(libfuse, entry(1), "v2") is not None


@pytest.mark.parametrize("now", [None, entry(1), entry(size=2), entry(resource_id=2)])
def test_what_supersedes(libfuse: Libfuse, now: Entry | None) -> None:
    """A file that is gone, newer, of another size or another one supersedes what is open."""
    assert looked_up(libfuse, entry(), "v1") is not None
    libfuse.retirement.changed({"a": now})
    assert libfuse.moves == ["a"]


@pytest.mark.parametrize("now", [entry(), entry(size=None)])
def test_what_does_not_supersede(libfuse: Libfuse, now: Entry) -> None:
    """The same, or the same of a size that the listing does not know, does not."""
    assert looked_up(libfuse, entry(), "v1") is not None
    libfuse.retirement.changed({"a": now})
    assert libfuse.moves == []


def test_what_the_kernel_was_told_moves_too(libfuse: Libfuse) -> None:
    """A path without handles changes its inode as well, for the kernel may keep the old size."""
    libfuse.retirement.tell("a", entry())
    libfuse.retirement.changed({"a": entry(1), "b": entry()})
    assert libfuse.moves == ["a"]


def test_what_the_kernel_was_told_otherwise(libfuse: Libfuse) -> None:
    """It is not opened; the inode moves soon, and the kernel looks up again."""
    libfuse.retirement.tell("a", entry())
    assert libfuse.retirement.open("a", entry(1), "v1") is None
    assert libfuse.moved.wait(PATIENCE)
    assert libfuse.retirement.shown_at("a") is None
    assert looked_up(libfuse, entry(1), "v1") is not None


def test_the_kernel_is_told_one_thing_of_an_inode(libfuse: Libfuse) -> None:
    """What it was told first, until the inode has moved, which then begins at once."""
    assert libfuse.retirement.tell("a", entry()) == entry()
    assert libfuse.retirement.tell("a", entry(1)) == entry()
    assert libfuse.moved.wait(PATIENCE)
    assert libfuse.retirement.shown_at("a") is None
    assert libfuse.retirement.tell("a", entry(1)) == entry(1)


def test_amid_a_move_nothing_is_told(libfuse: Libfuse) -> None:
    """Who asks for the path while libfuse moves its inode waits until it is another's."""
    libfuse.retirement.tell("a", entry())
    told: list[Entry] = []
    asking = threading.Thread(target=lambda: told.append(libfuse.retirement.tell("a", entry(1))))

    def ask() -> None:
        asking.start()
        asking.join(0.05)
        assert told == []

    libfuse.meanwhile = ask
    libfuse.retirement.changed({"a": entry(1)})
    asking.join(PATIENCE)
    assert told == [entry(1)]
    assert libfuse.retirement.open("a", entry(1), "v1") is not None


def test_before_a_move_the_old_is_told(libfuse: Libfuse) -> None:
    """Until libfuse takes the path away from it, the inode is what it was."""
    libfuse.retirement.tell("a", entry())
    told: list[Entry] = []
    libfuse.before = lambda: told.append(libfuse.retirement.tell("a", entry(1)))
    libfuse.retirement.changed({"a": entry(1)})
    assert told == [entry()]


def test_who_opens_what_has_just_moved_looks_it_up_first(libfuse: Libfuse) -> None:
    """For a while: the kernel may have made the new inode from an answer that was given before."""
    retirement = libfuse.retirement
    retirement.tell("a", entry())
    retirement.changed({"a": entry(1)})
    assert looked_up(libfuse, entry(1), "v1") is not None
    libfuse.calling = 2
    assert retirement.open("a", entry(1), "v1") is None
    assert retirement.shown_at("a") == entry(1)
    assert retirement.open("a", entry(1), "v1") is not None
    libfuse.calling = 3
    assert retirement.open("a", entry(1), "v1") is None
    libfuse.seconds = 10
    assert retirement.open("a", entry(1), "v1") is not None
    assert libfuse.moves == ["a"]


def test_another_version_beside_one_that_is_open(libfuse: Libfuse) -> None:
    """It is not opened there; the inode moves soon, and whoever looks the path up then waits for that."""
    assert looked_up(libfuse, entry(), "v1") is not None
    assert libfuse.retirement.open("a", entry(), "v2") is None
    assert libfuse.moved.wait(PATIENCE)
    assert libfuse.retirement.shown_at("a") is None
    assert looked_up(libfuse, entry(), "v2") is not None


@pytest.mark.parametrize(
    "send_back",
    [
        lambda retirement: retirement.open("a", entry(1), "v1"),
        lambda retirement: retirement.send_back("a"),
    ],
    ids=["another version", "on demand"],
)
def test_only_who_was_sent_back_waits_for_a_move(
    libfuse: Libfuse, send_back: Callable[[Retirement], None]
) -> None:
    """A stat of the inode itself would hold up its move; who looks up again finds the next one."""
    libfuse.retirement.tell("a", entry())
    shown: list[Entry] = []
    begun, go = threading.Event(), threading.Event()

    def hold_up() -> None:
        begun.set()
        assert go.wait(PATIENCE)

    libfuse.before = hold_up
    send_back(libfuse.retirement)
    assert begun.wait(PATIENCE)
    libfuse.calling = 2
    assert libfuse.retirement.shown_at("a") is None
    assert libfuse.retirement.tell("a", entry(1)) == entry()
    libfuse.calling = 1

    def look_up() -> None:
        assert libfuse.retirement.shown_at("a") is None
        shown.append(libfuse.retirement.tell("a", entry(1)))

    looking = threading.Thread(target=look_up)
    looking.start()
    looking.join(0.05)
    assert shown == []
    go.set()
    looking.join(PATIENCE)
    assert shown == [entry(1)]


def test_a_listing_replaced_while_a_file_is_opened(libfuse: Libfuse) -> None:
    """Nobody else would tell that the inode is of the past."""
    assert looked_up(libfuse, entry(), "v1") is not None
    libfuse.retirement.check("a", entry())
    assert not libfuse.moves
    libfuse.retirement.check("a", entry(1))
    assert libfuse.moved.wait(PATIENCE)


def test_a_move_that_libfuse_refuses(libfuse: Libfuse) -> None:
    """The path goes on to show what is open, and can be moved later."""
    assert looked_up(libfuse, entry(), "v1") is not None
    libfuse.is_refused = True
    libfuse.retirement.changed({"a": entry(1)})
    assert libfuse.retirement.shown_at("a") == entry()
    libfuse.is_refused = False
    libfuse.retirement.changed({"a": entry(2)})
    assert libfuse.retirement.shown_at("a") is None


def test_renames_of_others(libfuse: Libfuse) -> None:
    """Nobody else's rename is accepted."""
    assert looked_up(libfuse, entry(), "v1") is not None
    assert not libfuse.retirement.accept("a", "retired/1")
