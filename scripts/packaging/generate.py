"""Writes what is made from the parser of `empirical-mount`: the man page, and completions for three shells.

    python -m scripts.packaging.generate DIRECTORY

DIRECTORY then holds a `share`, as below /usr.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import shtab

from empirical_fs import __version__
from empirical_fs.cli.arguments import PROGRAM, parser
from scripts.packaging.manual import manual_page

MANUAL = Path(f"share/man/man1/{PROGRAM}.1")
COMPLETIONS = {
    "bash": Path(f"share/bash-completion/completions/{PROGRAM}"),
    "zsh": Path(f"share/zsh/site-functions/_{PROGRAM}"),
    "fish": Path(f"share/fish/vendor_completions.d/{PROGRAM}.fish"),
}
"""Where each shell looks for the completion of a command."""

_TEMPLATE = Path(__file__).with_name(f"{PROGRAM}.1.in")


def generated(make_parser: Callable[[], argparse.ArgumentParser] = parser) -> dict[Path, str]:
    """Every file with its text."""
    completed = _with_places(make_parser())
    completions = {
        path: f"{shtab.complete(completed, shell).rstrip()}\n" for shell, path in COMPLETIONS.items()
    }
    return {MANUAL: manual_page(_TEMPLATE.read_text(), make_parser(), __version__), **completions}


def _with_places(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The parser, which also tells shtab where the name of a file belongs, and where a directory's."""
    for action in parser._actions:
        if not action.option_strings:
            # `--help` has it in its first line, and shtab leaves out what is not in the list.
            action.help = "where to mount"
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif action.metavar == "FILE":
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif action.metavar == "DIR":
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    return parser


def main() -> None:
    """Write the files below the directory that the command line names."""
    (directory,) = map(Path, sys.argv[1:])
    for path, text in generated().items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


if __name__ == "__main__":
    main()
