"""Something in between answers a real mount: a CDN's firewall, the sign-in page of a network."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Mount
from tests.support.harness import (
    KEY,
    Sandbox,
    empirical_mount,
    environment,
    mounts,
    noise,
    opened,
    said,
    wait_until,
)

CONTENT = noise(100_000)
CHALLENGE = {
    "type": "status",
    "status": 403,
    "body": "<html>Attention required",
    "headers": {"content-type": "text/html; charset=UTF-8", "cf-mitigated": "challenge"},
}
PAGE = {"type": "html"}
STORED = {"type": "headers", "set": {"content-encoding": "gzip"}}


@pytest.fixture
def project(sandbox: Sandbox) -> Sandbox:
    sandbox.put("a.bin", CONTENT)
    return sandbox


def fault(on: str, action: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"on": on, "action": action, **fields}


@pytest.mark.parametrize(
    ("action", "words", "other"),
    [
        (CHALLENGE, "cannot reach the API: something in between answers for 127.0.0.1 (HTTP 403)", "key"),
        (
            PAGE,
            "this is not the Empirical API: 127.0.0.1 answers with a web page; check EMPIRICAL_API_URL",
            "net",
        ),
        (
            {"type": "status", "status": 503, "retry_after": "9" * 400},
            "cannot reach the API: 127.0.0.1 answered HTTP 503; try again in a while",
            "certificate",
        ),
        ({"type": "status", "status": 403}, "the API refused the key (HTTP 403)", "between"),
        (
            {"type": "raw", "text": "SSH-2.0-x\r\n"},
            "127.0.0.1 cannot be understood: what it answers is not HTTP",
            "net",
        ),
    ],
    ids=["challenge", "page", "busy for ever", "key", "another protocol"],
)
def test_who_refuses_the_mount(
    project: Sandbox, tmp_path: Path, action: dict[str, Any], words: str, other: str
) -> None:
    """The line names who refuses, and blames nobody else; a variable is blamed where that was set."""
    project.plan(faults=[fault("list", action)])
    wanted = environment(EMPIRICALRUN_KEY=KEY, EMPIRICAL_API_URL=project.url)
    done = empirical_mount("--timeout", "2", tmp_path / "mnt", check=False, env=wanted)
    line = said(done)
    assert words in line
    assert other not in line.replace("EMPIRICALRUN_KEY", "").replace(str(tmp_path), "")
    assert str(tmp_path / "mnt") not in mounts()


@pytest.mark.warns("read /a.bin: something in between answers for the store .HTTP 403")
@pytest.mark.may_warn("read /a.bin: (it could not be had|127.0.0.1 did not answer) in time")
def test_a_store_behind_a_challenge(project: Sandbox, mount: Mount) -> None:
    """Reads wait until it is over, as for a busy store; where it stays they are EIO, and the log names it."""
    with mount("--timeout", "4") as mounted:
        project.plan(faults=[fault("object", CHALLENGE, times=5)])
        assert (mounted / "a.bin").read_bytes() == CONTENT
    project.plan()
    with mount("--timeout", "1") as mounted, opened(mounted / "a.bin") as descriptor:
        project.plan(faults=[fault("object", CHALLENGE)])

        def names_it() -> bool:
            """The deadline of a read may pass before the first answer comes."""
            with pytest.raises(OSError, match="Input/output error"):
                Path(f"/proc/self/fd/{descriptor}").read_bytes()
            return "in between answers for the store (HTTP 403)" in mounted.log.read_text()

        wait_until(names_it, "the log")


NO_SUCH_PAGE = {
    "type": "status",
    "status": 404,
    "body": "<html>This domain is for sale",
    "headers": {"content-type": "text/html"},
}


@pytest.mark.warns("read /a.bin: something in between answers for the store .HTTP 404")
@pytest.mark.may_warn("read /a.bin: ")
def test_a_store_whose_name_was_sold(project: Sandbox, mount: Mount) -> None:
    """Where each object is answered by a page, none is gone: reads wait, or are EIO; of one alone, it is."""
    project.put("b.bin", CONTENT)
    with mount("--timeout", "4") as mounted, opened(mounted / "a.bin") as descriptor:
        assert (mounted / "b.bin").read_bytes() == CONTENT
        assert os.pread(descriptor, 1000, 0) == CONTENT[:1000]
        project.plan(faults=[fault("object", NO_SUCH_PAGE, times=8)])
        assert os.pread(descriptor, 1000, 50_000) == CONTENT[50_000:51_000]
        project.plan(faults=[fault("object", NO_SUCH_PAGE)])
        with pytest.raises(OSError, match="Input/output error"):
            os.pread(descriptor, 1000, 70_000)
        assert "in between answers for the store (HTTP 404)" in mounted.log.read_text()
        project.plan(faults=[fault("object", NO_SUCH_PAGE, ids=[project.id_of("a.bin")])])
        wait_until(lambda: reads(descriptor, 90_000) == errno.ESTALE, "the end of the object")


def reads(descriptor: int, offset: int) -> int:
    """The errno of a read; 0 where it brings bytes."""
    try:
        os.pread(descriptor, 1000, offset)
    except OSError as error:
        return error.errno or 0
    return 0


@pytest.mark.warns("read /a.bin: something in between answers for 127.0.0.1 .HTTP 403")
@pytest.mark.may_warn("read /a.bin: (it could not be had|127.0.0.1 did not answer) in time")
def test_an_api_behind_a_challenge(project: Sandbox, mount: Mount) -> None:
    """A URL that cannot be signed for a while is no matter of the key: EIO, and well afterwards."""
    with mount("--timeout", "2", "--url-ttl", "0.01") as mounted:
        project.plan(faults=[fault("get", CHALLENGE), fault("list", CHALLENGE)])
        with pytest.raises(OSError, match="Input/output error"):
            (mounted / "a.bin").read_bytes()
        project.plan()
        assert (mounted / "a.bin").read_bytes() == CONTENT


@pytest.mark.warns("the listing could not be refreshed, .*: 127.0.0.1 answers with a web page")
def test_a_page_in_place_of_the_listing(project: Sandbox, mount: Mount) -> None:
    """On a mount that is there already, it is something in between: told as that, until it is over."""
    with mount("--timeout", "3") as mounted:
        project.plan(faults=[fault("list", PAGE)])
        done = empirical_mount("--reload", mounted.path, check=False)
        assert "web page; something in between" in said(done)
        assert mounted.names() == {"a.bin"}
        assert (mounted / "a.bin").read_bytes() == CONTENT
        project.plan()
        empirical_mount("--reload", mounted.path)


def test_an_object_with_an_encoding(project: Sandbox, mount: Mount) -> None:
    """What the uploader has written there comes as it is stored, like everything else."""
    project.plan(faults=[fault("object", STORED)])
    with mount() as mounted:
        assert (mounted / "a.bin").read_bytes() == CONTENT
