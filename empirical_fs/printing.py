"""What others have said (servers, mounts, libfuse, whoever names files), fit for a terminal."""

import re

_NUMBER = re.compile(r"(?P<beginning>[0-9]{10})[0-9]{30,}")
"""One that counts nothing there is: 2^128 has 39 digits."""


def printable(text: str) -> str:
    """`text` with an escape for each character that could start another line, speak to a terminal or hide.

    Those are control characters, those that set the direction of the text or have no width, and the bytes of
    a name that is not UTF-8, which are shown as such. Of a number that fills lines the beginning is shown.
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
