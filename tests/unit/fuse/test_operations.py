"""Each operation as libfuse calls it, answered once and as the contract says; without a mount."""

import ctypes
import errno
import json
import logging
import os
import stat
from typing import Any

import pytest
from msgspec.structs import replace

from empirical_fs.catalog.snapshot import ROOT_INODE
from empirical_fs.errors import ContentChanged, StoreUnavailable
from empirical_fs.fuse.nodes import ROOT_NUMBER
from empirical_fs.fuse.structures import Forget
from empirical_fs.macos import NO_ATTRIBUTE
from tests.unit.fuse.served import BYTES, RESOURCES, STATUS, TIMEOUT, Served

GONE = -errno.ENOENT
"""What libfuse says where the kernel takes no answer: the caller is gone."""
NO_NODE = 999
INFO = object()
"""Stands for what libfuse gives of an open file."""
ROOM = 4096


@pytest.fixture
def served() -> Served:
    return Served()


def err(number: int) -> tuple[str, int]:
    """The answer that is an errno, 0 for success."""
    return "reply_err", number


def test_the_kernel_accepts_the_mount(served: Served) -> None:
    """Whoever waits for that is told."""
    served.operations.connected()
    assert served.connected == 1


@pytest.mark.parametrize(
    ("operation", "words"),
    [
        ("setattr", (2, None, 0, None)),
        ("mknod", (1, b"x", 0o644, 0)),
        ("mkdir", (1, b"x", 0o755)),
        ("unlink", (1, b"a")),
        ("rmdir", (1, b"a")),
        ("symlink", (b"a", 1, b"x")),
        ("rename", (1, b"a", 1, b"x")),
        ("link", (2, 1, b"x")),
        ("write", (2, None, 1, 0, None)),
        ("create", (1, b"x", 0o644, None)),
        ("setxattr", (2, b"user.x", None, 1, 0)),
        ("removexattr", (2, b"user.x")),
        ("fallocate", (2, 0, 0, 1, None)),
    ],
)
def test_writes(served: Served, operation: str, words: tuple[Any, ...]) -> None:
    """Whatever would change something is EROFS."""
    assert served.ask(operation, *words) == err(errno.EROFS)


class TestLookup:
    def test_a_file(self, served: Served) -> None:
        """It is told with a node of its own, its attributes and how long they are good for."""
        answer = served.ask("lookup", ROOT_NUMBER, b"a")
        assert answer is not None
        name, found = answer
        assert name == "reply_entry"
        assert served.inodes.find(found.number) is not None
        assert found.attributes.st_size == len(BYTES)
        assert stat.S_ISREG(found.attributes.st_mode)
        assert found.attributes.st_mtimespec.tv_nsec == RESOURCES[0].updated_ns
        assert (found.attribute_seconds, found.entry_seconds) == (6, 60)
        assert served.find("a") == found.number

    @pytest.mark.parametrize(
        ("parent", "name", "number"),
        [
            (ROOT_NUMBER, b"none", errno.ENOENT),
            (ROOT_NUMBER, b"x" * 256, errno.ENAMETOOLONG),
            (NO_NODE, b".", errno.ESTALE),
            (NO_NODE, b"x", errno.ENOTDIR),
        ],
    )
    def test_what_is_not_there(self, served: Served, parent: int, name: bytes, number: int) -> None:
        """Each reason has its errno."""
        assert served.ask("lookup", parent, name) == err(number)

    def test_a_missing_name_may_be_kept(self) -> None:
        """By -o negative_timeout the kernel is told that there is none, for so long."""
        answer = Served(missing_seconds=3.0).ask("lookup", ROOT_NUMBER, b"none")
        assert answer is not None
        assert (answer[0], answer[1].number, answer[1].entry_seconds) == ("reply_entry", 0, 3.0)

    @pytest.mark.parametrize("name", [b".", b".."])
    def test_the_root(self, served: Served, name: bytes) -> None:
        """It is found by its number, for file handles."""
        answer = served.ask("lookup", ROOT_NUMBER, name)
        assert answer is not None
        assert (answer[1].number, answer[1].attributes.st_ino) == (ROOT_NUMBER, ROOT_INODE)

    def test_a_number(self, served: Served) -> None:
        """A file handle finds its file as long as that is listed."""
        number = served.find("a")
        answer = served.ask("lookup", number, b".")
        assert answer is not None
        assert answer[1].number == number
        served.catalog.remove(1)
        assert served.ask("lookup", number, b".") == err(errno.ESTALE)

    def test_a_size_that_is_not_known(self, served: Served) -> None:
        """The answer waits until it is, or for so long."""
        assert served.ask("lookup", ROOT_NUMBER, b"unsized") is None
        served.catalog.change(replace(RESOURCES[3], size=3))
        before = len(served.library.said)
        served.catalog.sized[0]()
        answer = served.heard(before)
        assert answer is not None
        assert answer[1].attributes.st_size == 3

    def test_a_version_that_comes_while_a_size_is_awaited(self, served: Served) -> None:
        """It is waited for, too, and not shown as empty; a size that cannot be found ends the wait."""
        assert served.ask("lookup", ROOT_NUMBER, b"unsized") is None
        before = len(served.library.said)
        served.catalog.change(replace(RESOURCES[3], updated_ns=50))
        served.catalog.sized[0]()
        assert len(served.library.said) == before
        served.catalog.sized[1]()
        answer = served.heard(before)
        assert answer is not None
        assert answer[1].attributes.st_size == 0

    def test_a_caller_that_is_gone(self, served: Served) -> None:
        """It was no lookup: the kernel will never forget it."""
        served.library.result = GONE
        number = served.find("a")
        node = served.inodes.find(number)
        assert node is not None
        assert not node.is_used


@pytest.mark.parametrize("several", [False, True])
def test_forget(served: Served, *, several: bool) -> None:
    """What the kernel has forgotten, and the listing has no more, cannot be found; there is no answer."""
    number = served.find("a")
    served.find("a")
    older = served.catalog.latest
    served.catalog.remove(1)
    served.inodes.changed(served.catalog.latest.changed_since(older), older, served.catalog.latest)
    if several:
        table = (Forget * 2)(Forget(number, 1), Forget(number, 1))
        assert served.ask("forget_multi", 2, table) == ("reply_none", None)
    else:
        assert served.ask("forget", number, 1) == ("reply_none", None)
        assert served.inodes.find(number) is not None
        assert served.ask("forget", number, 1) == ("reply_none", None)
    assert served.inodes.find(number) is None


class TestGetattr:
    def test_the_root(self, served: Served) -> None:
        """Its time is that of the last change of the directory."""
        answer = served.ask("getattr", ROOT_NUMBER, None)
        assert answer is not None
        assert answer[0] == "reply_attr"
        assert (answer[1].st_ino, answer[1].st_mtimespec.tv_nsec) == (ROOT_INODE, 9)
        assert stat.S_ISDIR(answer[1].st_mode)

    def test_a_file(self, served: Served) -> None:
        """As it is now, or, of one that is gone, as it was."""
        number = served.find("a")
        served.catalog.change(replace(RESOURCES[0], size=3, updated_ns=50))
        answer = served.ask("getattr", number, None)
        assert answer is not None
        assert answer[1].st_size == 3
        served.catalog.remove(1)
        answer = served.ask("getattr", number, None)
        assert answer is not None
        assert answer[1].st_size == len(BYTES)

    def test_a_version_without_a_size(self, served: Served) -> None:
        """A node whose resource is another version now, of unknown size, is shown when the size is known."""
        number = served.find("a")
        served.catalog.change(replace(RESOURCES[0], size=None, updated_ns=50))
        assert served.ask("getattr", number, None) is None
        before = len(served.library.said)
        served.catalog.change(replace(RESOURCES[0], size=3, updated_ns=50))
        served.catalog.sized[0]()
        answer = served.heard(before)
        assert answer is not None
        assert answer[1].st_size == 3

    def test_a_version_that_comes_while_a_size_is_awaited(self, served: Served) -> None:
        """It is waited for, too; what was renamed or deleted meanwhile is shown as it was."""
        number = served.find("a")
        served.catalog.change(replace(RESOURCES[0], size=None, updated_ns=50))
        assert served.ask("getattr", number, None) is None
        before = len(served.library.said)
        served.catalog.change(replace(RESOURCES[0], size=None, updated_ns=51))
        served.catalog.sized[0]()
        assert len(served.library.said) == before
        served.catalog.is_telling = True
        served.catalog.change(replace(RESOURCES[0], name="new", size=3, updated_ns=52))
        served.catalog.sized[1]()
        answer = served.heard(before)
        assert answer is not None
        assert (answer[1].st_size, answer[1].st_mtimespec.tv_nsec) == (len(BYTES), 5)

    def test_a_renamed_file_by_its_old_name(self, served: Served) -> None:
        """Until the kernel has dropped the old name, it is shown as it was under that name."""
        number = served.find("a")
        served.catalog.change(replace(RESOURCES[0], name="new", updated_ns=50, size=3))
        for is_telling, size in ((True, len(BYTES)), (False, 3)):
            served.catalog.is_telling = is_telling
            answer = served.ask("getattr", number, None)
            assert answer is not None
            assert answer[1].st_size == size

    def test_an_open_version_that_is_over(self, served: Served) -> None:
        """It is ESTALE, by which those who follow a file notice; a listing in doubt is waited for."""
        info, node = served.open("a"), served.node("a")
        assert served.ask("read", node.number, 4, 0, info) == ("reply_buf", b"0123")
        served.catalog.change(replace(RESOURCES[0], size=3, updated_ns=50))
        served.catalog.distrust(RESOURCES[0])
        assert served.ask("getattr", node.number, None) is None
        before = len(served.library.said)
        served.catalog.settled[0]()
        assert served.heard(before) == err(errno.ESTALE)

    def test_nobody(self, served: Served) -> None:
        """A node that there is not."""
        assert served.ask("getattr", NO_NODE, None) == err(errno.ESTALE)


class TestOpen:
    @pytest.mark.parametrize("flags", [os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_TRUNC])
    def test_writing(self, served: Served, flags: int) -> None:
        """Nobody opens a file to change it."""
        assert served.ask("open", served.find("a"), served.info(flags=flags)) == err(errno.EROFS)

    def test_reading(self, served: Served) -> None:
        """It has a handle, and the pages that the kernel has of a version stay good."""
        answer = served.ask("open", served.find("c.url"), served.info())
        assert answer is not None
        assert answer[0] == "reply_open"
        assert answer[1].fh
        assert answer[1].keep_cache
        assert not answer[1].direct_io

    def test_what_is_gone(self, served: Served) -> None:
        """A file that is deleted, one that is another version by now, and a number that is none."""
        number = served.find("a")
        served.catalog.change(replace(RESOURCES[0], updated_ns=50))
        assert served.ask("open", number, served.info()) == err(errno.ESTALE)
        served.catalog.remove(1)
        assert served.ask("open", number, served.info()) == err(errno.ESTALE)
        assert served.ask("open", NO_NODE, served.info()) == err(errno.ESTALE)

    def test_an_old_number(self, served: Served) -> None:
        """Who comes again has no name to look up: it opens as what its resource is now."""
        number = served.find("a")
        served.catalog.change(replace(RESOURCES[0], updated_ns=50))
        served.ask("open", number, served.info())
        answer = served.ask("open", number, served.info())
        assert answer is not None
        assert answer[0] == "reply_open"
        assert served.walks.opened[-1].content is served.walks.contents[1, 50]

    def test_a_listing_in_doubt(self, served: Served) -> None:
        """It is waited for: once there is another one, or after a second."""
        number = served.find("a")
        served.catalog.distrust(RESOURCES[0])
        assert served.ask("open", number, served.info()) is None
        served.catalog.doubts.clear()
        before = len(served.library.said)
        served.timer.pass_by(1)
        answer = served.heard(before)
        assert answer is not None
        assert answer[0] == "reply_open"
        served.catalog.settled[0]()
        assert len(served.library.said) == before + 1, "it is answered once"

    def test_a_size_that_is_not_known(self, served: Served) -> None:
        """The store is asked for it, and the kernel learns it when it looks the name up again."""
        assert served.ask("lookup", ROOT_NUMBER, b"unsized") is None
        before = len(served.library.said)
        served.timer.pass_by(10)
        answer = served.heard(before)
        assert answer is not None
        served.catalog.to_be_measured.add(4)
        assert served.ask("open", answer[1].number, served.info()) == err(errno.ESTALE)
        answer = served.ask("lookup", ROOT_NUMBER, b"unsized")
        assert answer is not None
        assert answer[1].attributes.st_size == len(BYTES)
        assert served.open("unsized")

    def test_a_caller_that_is_gone(self, served: Served) -> None:
        """There is no handle, and nothing is left open."""
        number = served.find("a")
        served.library.result = GONE
        served.ask("open", number, served.info())
        assert [each.is_closed for each in served.walks.opened] == [True]


class TestRead:
    @pytest.mark.parametrize(("offset", "size"), [(0, 4), (3, 100), (9, 1), (10, 5), (50, 5), (0, 0)])
    @pytest.mark.parametrize("name", ["a", "c.url"])
    def test_bytes_at_hand(self, served: Served, name: str, offset: int, size: int) -> None:
        """They are given at once; none at the end and behind it."""
        content = BYTES if name == "a" else b"[InternetShortcut]\r\nURL=https://x.example/\r\n"
        answer = served.ask("read", 0, size, offset, served.open(name))
        assert answer == ("reply_buf", content[offset : offset + size])
        assert name != "a" or served.walks.opened[0].part.given_back == 1

    def test_bytes_that_come_later(self, served: Served) -> None:
        """The read waits in nobody's thread, and is answered by whoever brings them."""
        served.walks.at_hand = False
        info = served.open("a")
        assert served.ask("read", 0, 4, 2, info) is None
        (handle,) = served.walks.opened
        before = len(served.library.said)
        handle.waiters[0].give(handle.pieces(2, 4))
        assert served.heard(before) == ("reply_buf", b"2345")

    @pytest.mark.warns("read /a: it is away; wait", "read /a: it could not be had in time")
    def test_bytes_that_do_not_come(self, served: Served, caplog: pytest.LogCaptureFixture) -> None:
        """It is EIO: because they cannot be had, or not in time."""
        served.walks.at_hand = False
        info = served.open("a")
        (handle,) = served.walks.opened
        assert served.ask("read", 0, 4, 0, info) is None
        before = len(served.library.said)
        handle.waiters[0].fail(StoreUnavailable("it is away", advice="wait"))
        assert served.heard(before) == err(errno.EIO)
        assert "read /a: it is away; wait" in caplog.text
        assert served.ask("read", 0, 2, 8, info) is None
        before = len(served.library.said)
        served.timer.pass_by(TIMEOUT)
        assert served.heard(before) == err(errno.EIO)
        assert served.statistics.counts().errors == {"EIO": 2}

    @pytest.mark.warns("read /a: it is another one")
    def test_a_version_that_is_over(self, served: Served) -> None:
        """Who has had bytes of it gets no others: ESTALE."""
        info = served.open("a")
        assert served.ask("read", 0, 4, 0, info) == ("reply_buf", b"0123")
        (handle,) = served.walks.opened
        handle.at_hand = False
        assert served.ask("read", 0, 4, 4, info) is None
        before = len(served.library.said)
        handle.waiters[0].fail(ContentChanged("it is another one"))
        assert served.heard(before) == err(errno.ESTALE)
        assert served.catalog.is_in_doubt(1)

    def test_one_that_has_had_nothing_goes_on(self, served: Served) -> None:
        """It reads the version that there is now, once the listing has it."""
        served.walks.at_hand = False
        info = served.open("a")
        assert served.ask("read", 0, 4, 0, info) is None
        served.walks.opened[0].waiters[0].fail(ContentChanged("it is another one"))
        served.catalog.change(replace(RESOURCES[0], updated_ns=50))
        before = len(served.library.said)
        served.catalog.settled[0]()
        newer = served.walks.opened[-1]
        assert newer.content is served.walks.contents[1, 50]
        newer.waiters[0].give(newer.pieces(0, 4))
        assert served.heard(before) == ("reply_buf", b"0123")

    def test_who_closes_the_file_waits_no_more(self, served: Served) -> None:
        """A read that a thread began is given up when that thread closes a descriptor."""
        served.walks.at_hand = False
        served.library.pid = os.getpid()
        info = served.open("a")
        assert served.ask("read", 0, 4, 0, info) is None
        before = len(served.library.said)
        request = served.operations.new_request(served.requests, 1, "flush", (0, info))
        served.requests.accept(request)
        served.operations.flush(request, 0, info)
        assert served.library.said[before:] == [err(0), err(errno.EINTR)]
        assert served.walks.opened[0].cancelled == 1


@pytest.mark.parametrize("name", ["a", "c.url"])
def test_closing(served: Served, name: str) -> None:
    """Flush and release succeed, and what was open is closed."""
    node, info = served.node(name), served.open(name)
    assert served.ask("flush", node.number, info) == err(0)
    assert served.ask("fsync", node.number, 0, info) == err(0)
    assert node.handles == 1
    assert served.ask("release", node.number, info) == err(0)
    assert node.handles == 0
    assert all(each.is_closed for each in served.walks.opened)


class TestListing:
    @staticmethod
    def begun(served: Served) -> int:
        answer = served.ask("opendir", ROOT_NUMBER, served.info())
        assert answer is not None
        assert answer[0] == "reply_open"
        return served.info(answer[1].fh)

    @pytest.mark.parametrize("operation", ["readdir", "readdirplus"])
    def test_names(self, served: Served, operation: str) -> None:
        """All of them come in the order of their ids, with the inode numbers that stat tells."""
        served.ask(operation, ROOT_NUMBER, ROOM, 0, self.begun(served))
        names = [name for name, _, _ in served.library.names]
        assert names == [b".", b"..", b"a", b"b", b"c.url", b"unsized"]
        entries = served.catalog.latest.by_name
        assert [inode for _, _, inode in served.library.names[2:]] == [
            entries[name.decode()].inode for name in names[2:]
        ]

    @pytest.mark.parametrize("operation", ["readdir", "readdirplus"])
    def test_little_room(self, served: Served, operation: str) -> None:
        """As many names as there is room for; the next ones from the place behind."""
        listing, cookie = self.begun(served), 0
        for cookie in (0, 1, 2, 4, 5, 6):
            answer = served.ask(operation, ROOT_NUMBER, 32, cookie, listing)
            assert answer is not None
            assert len(answer[1]) == 32
        names = [name for name, _, _ in served.library.names]
        assert names == [b".", b"..", b"a", b"b", b"c.url", b"unsized"]
        answer = served.ask(operation, ROOT_NUMBER, 32, 7, listing)
        assert answer == ("reply_buf", b"")

    def test_attributes_are_told_once(self, served: Served) -> None:
        """A listing tells the kernel of a file with its node, until it has the attributes."""
        for is_first in (True, False):
            served.library.names.clear()
            served.ask("readdirplus", ROOT_NUMBER, ROOM, 0, self.begun(served))
            numbers = {name: number for name, number, _ in served.library.names}
            assert [bool(numbers[name]) for name in (b"a", b"b", b"c.url")] == [is_first] * 3
            assert numbers[b"unsized"] == 0, "a lookup finds its size first"

    @pytest.mark.parametrize("room", [ROOM, 32 * 4])
    def test_what_was_not_taken_is_no_lookup(self, served: Served, room: int) -> None:
        """Neither what there was no room for, nor what a caller that is gone was told."""
        served.library.result = GONE
        served.ask("readdirplus", ROOT_NUMBER, room, 0, self.begun(served))
        assert not any(served.node(name).is_used for name in ("a", "b", "c.url"))

    def test_the_end(self, served: Served) -> None:
        """It is forgotten, and one that nobody wants is as well."""
        listing = self.begun(served)
        assert served.ask("releasedir", ROOT_NUMBER, listing) == err(0)
        served.library.result = GONE
        served.ask("opendir", ROOT_NUMBER, served.info())


def test_statfs(served: Served) -> None:
    """The sum of the sizes, the number of files and of the root, and nothing free."""
    answer = served.ask("statfs", ROOT_NUMBER)
    assert answer is not None
    assert answer[0] == "reply_statfs"
    space = answer[1]
    assert (space.f_blocks, space.f_files, space.f_bfree, space.f_namemax) == (1, 5, 0, 255)


class TestExtendedAttributes:
    def test_a_value(self, served: Served) -> None:
        """Its size for who asks with no room, the value for who has enough, ERANGE for who has too little."""
        number = served.find("a")
        assert served.ask("getxattr", number, b"user.xdg.comment", 0) == ("reply_xattr", 4)
        assert served.ask("getxattr", number, b"user.xdg.comment", 4) == ("reply_buf", b"an a")
        assert served.ask("getxattr", number, b"user.xdg.comment", 3) == err(errno.ERANGE)

    @pytest.mark.parametrize(
        ("name", "number"),
        [
            (b"user.", errno.EINVAL),
            (b"user.none", NO_ATTRIBUTE),
            (b"user.\xff", NO_ATTRIBUTE),
            (b"security.selinux", errno.EOPNOTSUPP),
            (b"system.posix_acl_access", errno.EOPNOTSUPP),
        ],
    )
    def test_what_is_none(self, served: Served, name: bytes, number: int) -> None:
        """Each kind has its errno."""
        assert served.ask("getxattr", served.find("a"), name, 100) == err(number)

    def test_names(self, served: Served) -> None:
        """Those of a file; the root has none, and of a file that is gone they are the last ones."""
        number = served.find("a")
        served.catalog.remove(1)
        answer = served.ask("listxattr", number, ROOM)
        assert answer is not None
        names = answer[1].split(b"\0")[:-1]
        assert b"user.empirical.id" in names
        assert b"user.xdg.comment" in names
        assert served.ask("listxattr", ROOT_NUMBER, ROOM) == ("reply_buf", b"")
        assert served.ask("listxattr", NO_NODE, ROOM) == err(errno.ESTALE)


class TestIoctl:
    def test_a_command(self, served: Served) -> None:
        """Its answer is JSON that ends with a NUL."""
        answer = served.ask("ioctl", ROOT_NUMBER, STATUS, None, None, 0, None, 0, ROOM)
        assert answer is not None
        assert answer[0] == "reply_ioctl"
        assert json.loads(answer[1].rstrip(b"\0")) == {"is": "well"}

    def test_a_question(self, served: Served) -> None:
        """What is sent along reaches the command, to the last byte."""
        sent = ctypes.create_string_buffer(b"what?")
        address = ctypes.addressof(sent)
        answer = served.ask("ioctl", ROOT_NUMBER, STATUS, None, None, 0, address, 5, ROOM)
        assert answer is not None
        assert json.loads(answer[1].rstrip(b"\0")) == {"is": "well", "sent": "what?"}

    def test_any_other(self, served: Served) -> None:
        """This is no device."""
        assert served.ask("ioctl", ROOT_NUMBER, 1, None, None, 0, None, 0, ROOM) == err(errno.ENOTTY)

    def test_somebody_else(self, served: Served) -> None:
        """A command is answered to the mount's user and to root alone."""
        for uid, name in ((os.getuid(), "reply_ioctl"), (0, "reply_ioctl"), (os.getuid() + 12, "reply_err")):
            served.library.uid = uid
            answer = served.ask("ioctl", ROOT_NUMBER, STATUS, None, None, 0, None, 0, ROOM)
            assert answer is not None
            assert answer[0] == name
        assert answer == err(errno.EPERM)

    @pytest.mark.warns("ioctl / failed unexpectedly")
    def test_too_little_room(self, served: Served, caplog: pytest.LogCaptureFixture) -> None:
        """It is answered all the same."""
        assert served.ask("ioctl", ROOT_NUMBER, STATUS, None, None, 0, None, 0, 1) == err(errno.EIO)
        assert "ioctl /" in caplog.text


@pytest.mark.warns("statfs / failed unexpectedly", "statfs failed after its answer")
def test_what_should_not_be(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    """A bug is answered with EIO where there was no answer, and told in the log with its traceback."""
    request = served.operations.new_request(served.requests, 1, "statfs", (1,))
    served.requests.accept(request)
    served.operations.failed("statfs", request, ZeroDivisionError("bug"))
    assert served.heard(0) == err(errno.EIO)
    served.operations.failed("statfs", request, ZeroDivisionError("bug"))
    assert served.heard(0) == err(errno.EIO)
    assert "statfs failed after its answer" in caplog.text
    assert all(record.exc_info for record in caplog.records)


@pytest.mark.parametrize(
    ("operation", "words", "line"),
    [
        ("lookup", (ROOT_NUMBER, b"a\nb"), r"lookup '/a\nb': ENOENT in "),
        ("getattr", (ROOT_NUMBER, None), "getattr '/': done in "),
        ("forget_multi", (0, ()), "forget_multi '/': done in "),
        ("getxattr", (2, b"user.x", 0), f"getxattr '/a' 'user.x': {errno.errorcode[NO_ATTRIBUTE]} in "),
        ("open", (2, INFO), "open '/a': 0 in "),
        ("read", (2, 4, 6, INFO), "read '/a' 4 bytes at 6: 4 in "),
    ],
)
def test_what_is_traced(
    caplog: pytest.LogCaptureFixture, operation: str, words: tuple[Any, ...], line: str
) -> None:
    """By `-vv` a line tells of each request: what it was about, and how it ended."""
    with caplog.at_level(logging.DEBUG):
        served = Served()
        info = served.open("a")
        caplog.clear()
        served.ask(operation, *(info if each is INFO else each for each in words))
    assert [record.getMessage().startswith(line) for record in caplog.records] == [True]
