"""`empirical-open-link` opens web pages alone, and the browser does not get the key."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from empirical_fs.api.resource import Resource
from empirical_fs.catalog.snapshot import Entry
from empirical_fs.cli.open_link import NoLink, page_in

PAGE = "https://docs.example.org/a%20b?x=%3D1&y=2#part"


def test_a_link_of_ours() -> None:
    """What the mount shows of a link leads to its page."""
    resource = Resource(id=1, name="Plan", size=None, updated_ns=0, link=PAGE)
    content = Entry("Plan.url", resource).content
    assert content is not None
    assert page_in(content.decode()) == PAGE


@pytest.mark.parametrize(
    "text",
    [
        f"[InternetShortcut]\nURL={PAGE}\n",
        f"[DEFAULT]\nBASEURL=x\n[InternetShortcut]\r\nIconIndex=0\r\nurl = {PAGE}\r\n",
    ],
)
def test_links_of_others(text: str) -> None:
    """Windows writes more than we do."""
    assert page_in(text) == PAGE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "URL=https://x.org",
        "[InternetShortcut]\n",
        "[InternetShortcut]\nURL=\n",
        "[InternetShortcut]\nURL=file:///etc/passwd\n",
        "[InternetShortcut]\nURL=javascript:alert(1)\n",
        "[InternetShortcut]\nURL=--help\n",
        "[InternetShortcut]\nURL=http:/x\n",
        "[InternetShortcut]\nURL=http:javascript:alert(1)\n",
        "[InternetShortcut]\nURL=https:///etc/passwd\n",
        "[InternetShortcut]\nURL=https://@/\n",
        "[InternetShortcut]\nURL=http://:80/\n",
        "[InternetShortcut]\nURL=https://[x\n",
        "[InternetShortcut]\nURL=https://x.org/\x1b[2J\n",
        "[InternetShortcut\nURL=https://x.org\n",
    ],
)
def test_what_is_no_link(text: str) -> None:
    """Nothing but a web page is opened."""
    with pytest.raises(NoLink):
        page_in(text)


def test_the_browser_does_not_get_the_key(tmp_path: Path) -> None:
    """What the page is opened with has the environment of the desktop, less the key."""
    opener = tmp_path / "xdg-open"
    opener.write_text('#!/bin/sh\necho "$1:$EMPIRICALRUN_KEY:$OTHER"\n')
    opener.chmod(0o755)
    link = tmp_path / "a.url"
    link.write_text(f"[InternetShortcut]\nURL={PAGE}\n")
    program = "from empirical_fs.cli.open_link import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, link],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "EMPIRICALRUN_KEY": "k", "OTHER": "o"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{PAGE}::o\n"


def test_a_file_that_is_named_to_confuse() -> None:
    """Its name is shown with escapes."""
    program = "from empirical_fs.cli.open_link import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "/nowhere/\x1b[2J"], capture_output=True, text=True, check=False
    )
    assert done.stderr.startswith("empirical-open-link: cannot read /nowhere/\\x1b[2J: ")
