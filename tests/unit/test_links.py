import pytest

from empirical_fs.links import NoLink, page_in
from empirical_fs.resource import Resource
from empirical_fs.snapshot import Entry

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
        "[InternetShortcut]\nURL=https://[x\n",
        "[InternetShortcut]\nURL=https://x.org/\x1b[2J\n",
        "[InternetShortcut\nURL=https://x.org\n",
    ],
)
def test_what_is_no_link(text: str) -> None:
    """Nothing but a web page is opened."""
    with pytest.raises(NoLink):
        page_in(text)
