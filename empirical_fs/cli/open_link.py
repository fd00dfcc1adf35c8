"""The command `empirical-open-link`: opens the web page of a `.url` file, for desktops that cannot."""

import configparser
import os
import sys
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from empirical_fs.printing import printable
from empirical_fs.privacy import take_key_variable

_SECTION, _OPTION = "InternetShortcut", "URL"
_SCHEMES = ("http", "https")
_SIZE_MAX = 64 * 2**10
_OPENER = "xdg-open"
_FAILED, _USAGE = 1, 2
_HELP = ("-h", "--help")
_USAGE_LINE = "usage: empirical-open-link FILE.url"


class NoLink(Exception):
    """The file has no URL that a browser may open."""


def page_in(text: str) -> str:
    """The URL in the text of an InternetShortcut.

    Any program may have written the file, so only http and https URLs are accepted.

    Raises:
        NoLink: there is no such URL.
    """
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
        url = parser.get(_SECTION, _OPTION)
        parts = urlsplit(url)
    except (configparser.Error, ValueError) as error:
        raise NoLink("this is not a link to a web page") from error
    if parts.scheme not in _SCHEMES or not parts.hostname or not url.isprintable():
        raise NoLink("its URL is not that of a web page")
    return url


def main() -> None:
    """Run the command on a `.url` file; the opener replaces this process."""
    take_key_variable()  # the browser, and the programs that it starts, must not inherit the key
    try:
        (name,) = sys.argv[1:]
    except ValueError:
        _fail(_USAGE_LINE, _USAGE)
    if name in _HELP:
        print(_USAGE_LINE)  # noqa: T201 - what was asked for
        return
    try:
        with Path(name).open("rb") as file:
            text = file.read(_SIZE_MAX).decode("utf-8-sig", errors="replace")
        page = page_in(text)
    except OSError as error:
        _fail(f"cannot read {name}: {error.strerror}")
    except NoLink as error:
        _fail(f"{name}: {error}")
    try:
        os.execvp(_OPENER, [_OPENER, page])  # noqa: S606 - found as desktops find it; no shell
    except OSError as error:
        _fail(f"cannot run {_OPENER}: {error.strerror}; on Debian and Ubuntu: sudo apt install xdg-utils")


def _fail(message: str, status: int = _FAILED) -> NoReturn:
    print(f"empirical-open-link: {printable(message)}", file=sys.stderr)  # noqa: T201 - the one line that users read
    sys.exit(status)
