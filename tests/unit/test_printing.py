"""What others have said is printed without what a terminal would act on."""

import pytest

from empirical_fs.printing import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("plain \u00fc \u96ea \U0001f600 \\x1b", "plain \u00fc \u96ea \U0001f600 \\x1b"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\r\tc", "a\\x0ab\\x0d\\x09c"),
        ("\x00\x7f\x9b", "\\x00\\x7f\\x9b"),
        ("a\u202eb\u200bc\u2028", "a\\u202eb\\u200bc\\u2028"),
        ("\udcff\ud800", "\\xff\\ud800"),
        ("\U000e0001", "\\U000e0001"),
        ("it has 1234567890" + "7" * 390 + " bytes", "it has 1234567890... (400 digits) bytes"),
        ("sha 1" + "0" * 38, "sha 1" + "0" * 38),
    ],
)
def test_printable(text: str, shown: str) -> None:
    """No character is left that speaks to a terminal or makes a line, and no number that fills lines."""
    assert printable(text) == shown
    assert printable(text).isprintable()
