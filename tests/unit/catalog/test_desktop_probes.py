"""Names that desktops look for everywhere are told from names that somebody may want."""

import pytest

from empirical_fs.catalog.desktop_probes import is_probe


@pytest.mark.parametrize(
    "name",
    [
        ".Trash",
        ".Trash-1000",
        ".hidden",
        "autorun.inf",
        ".~lock.Plan 2026.odt#",
        ".DS_Store",
        "._Plan.odt",
        ".git",
    ],
)
def test_probes(name: str) -> None:
    """What programs look for everywhere."""
    assert is_probe(name)


@pytest.mark.parametrize(
    "name", ["Plan.odt", "Trash", ".Trash-me", ".gitignore", "lock.a#", "", "autorun.infx"]
)
def test_what_somebody_may_want(name: str) -> None:
    """Any other name."""
    assert not is_probe(name)
