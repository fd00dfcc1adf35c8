"""What others have said (servers, mounts, libfuse, whoever names files), fit for a terminal."""


def printable(text: str) -> str:
    """`text` with an escape for each character that could start another line, speak to a terminal or hide.

    Those are control characters, those that set the direction of the text or have no width, and the bytes of
    a name that is not UTF-8, which are shown as such.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    try:
        return "".join(f"\\x{byte:02x}" for byte in character.encode("latin-1", "surrogateescape"))
    except UnicodeEncodeError:
        return character.encode("ascii", "backslashreplace").decode()
