"""Makes text from other sources (servers, mounts, libfuse, file names) safe to print on a terminal."""

import re

_NUMBER = re.compile(r"(?P<beginning>[0-9]{10})[0-9]{30,}")
"""A number too long to mean anything: 2^128 has 39 digits."""


def printable(text: str) -> str:
    """`text` with an escape for each character that could start a new line, control the terminal or hide.

    Those are control characters, characters that set the text direction or have no width, and bytes of a name
    that is not UTF-8, whose values are shown. Of a number that would fill lines, only the beginning is shown.
    """
    text = _NUMBER.sub(_shortened, text)
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escaped(each) for each in text)


def _shortened(match: re.Match[str]) -> str:
    return f"{match['beginning']}... ({len(match.group())} digits)"


def _escaped(character: str) -> str:
    try:
        return "".join(f"\\x{byte:02x}" for byte in character.encode("latin-1", "surrogateescape"))
    except UnicodeEncodeError:
        return character.encode("ascii", "backslashreplace").decode()
