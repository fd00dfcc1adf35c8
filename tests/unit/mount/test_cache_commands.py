"""Which files the patterns of a command mean."""

import pytest

from empirical_fs.api.resource import Resource
from empirical_fs.catalog.snapshot import Snapshot
from empirical_fs.errors import SetupError
from empirical_fs.mount.cache_commands import matching

NAMES = ["a.pdf", "b.pdf", "B.PDF", "a[1].txt", "a1.txt", "star*.txt", "ümlaut"]
BY_NAME = Snapshot(
    {
        number: Resource(id=number, name=name, size=1, updated_ns=0, link=None)
        for number, name in enumerate(NAMES)
    }
).by_name


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        ([], NAMES),
        (["*.pdf"], ["a.pdf", "b.pdf"]),
        (["[ab].pdf", "a.pdf"], ["a.pdf", "b.pdf"]),
        (["a[1].txt"], ["a[1].txt", "a1.txt"]),
        (["star*.txt"], ["star*.txt"]),
        (["?mlaut"], ["ümlaut"]),
    ],
)
def test_patterns(patterns: list[str], expected: list[str]) -> None:
    """Shell patterns, case and all; a name means itself, whatever characters are in it."""
    assert {each.name for each in matching(BY_NAME, patterns)} == set(expected)


@pytest.mark.parametrize("patterns", [["c.pdf"], ["*.pdf", "*.doc"], [""], ["[z-a]"], ["[" * 50]])
def test_a_pattern_without_a_match(patterns: list[str]) -> None:
    """It is a mistake: nothing is done for the others either."""
    with pytest.raises(SetupError, match="no file matches"):
        matching(BY_NAME, patterns)
