"""A mount option that libfuse does not know is named, with the one that may have been meant."""

import pytest

from empirical_fs.mount.unknown_options import unknown_option


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (
            "fuse: unknown option `alow_other'",
            "-o alow_other: there is no such option; the nearest is allow_other",
        ),
        (
            "fuse: unknown option(s): `-o allow_othr'",
            "-o allow_othr: there is no such option; the nearest is allow_other",
        ),
        (
            "fuse: unknown option(s): `-o refersh=5,alow_other'",
            "-o refersh=5: there is no such option; the nearest is refresh",
        ),
        ("fuse: unknown option `timout=5'", "-o timout=5: there is no such option; the nearest is timeout"),
        ("fuse: unknown option `Umask=22'", "-o Umask=22: there is no such option; the nearest is umask"),
        (
            "fuse: unknown option `max_reed=5'",
            "-o max_reed=5: there is no such option; the nearest is max_read",
        ),
        (
            "fuse: unknown options `unknown=...', `alow_other'",
            "-o unknown=...: there is no such option; see empirical-mount --help, and mount.fuse(8)",
        ),
        (
            "fuse: unknown option `...'",
            "-o ...: there is no such option; see empirical-mount --help, and mount.fuse(8)",
        ),
        (
            "fuse: unknown option `auto_unmount'",
            "-o auto_unmount: this libfuse has no such option; leave it out",
        ),
    ],
)
def test_unknown_options(said: str, line: str) -> None:
    """Whatever the library, and whether it is one of libfuse, one of ours or a setting."""
    assert str(unknown_option(said)) == line


def test_anything_else() -> None:
    """What libfuse says of other things is not about an option."""
    assert unknown_option("fusermount3: mount failed: Permission denied") is None
