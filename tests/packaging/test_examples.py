"""What scripts/packaging gives to systemd and Docker asks for options and files that there are."""

import json
import shlex

import pytest

from empirical_fs.cli.arguments import PROGRAM, parser
from tests.packaging.conftest import TOP

_PACKAGING = TOP / "scripts/packaging"


@pytest.mark.parametrize(("setting", "wanted"), [("ExecStart", "foreground"), ("ExecReload", "reload")])
def test_unit(setting: str, wanted: str) -> None:
    """The unit runs the program with options of its parser, on the one directory."""
    lines = (_PACKAGING / "empirical-mount@.service").read_text().splitlines()
    (command,) = (line.partition("=")[2] for line in lines if line.startswith(f"{setting}="))
    program, *arguments = shlex.split(command)
    assert program == PROGRAM
    given = parser().parse_args(arguments)
    assert getattr(given, wanted) is True
    assert given.places == ["%h/empirical/%i"]


def test_unit_is_ready_when_the_program_says_so() -> None:
    """systemd waits for the word of the process itself."""
    lines = (_PACKAGING / "empirical-mount@.service").read_text().splitlines()
    assert {"Type=notify", "NotifyAccess=main"} <= set(lines)


def test_image() -> None:
    """The Dockerfile copies what there is, and its container stays in the foreground."""
    lines = (_PACKAGING / "Dockerfile").read_text().splitlines()
    words = [(instruction, text) for instruction, _, text in (line.partition(" ") for line in lines)]
    copied = [
        text.split()[:-1] for instruction, text in words if instruction == "COPY" and "--from" not in text
    ]
    assert copied
    assert all((TOP / source).exists() for sources in copied for source in sources)
    (program, *arguments), place = (
        json.loads(text) for instruction, text in words if instruction in ("ENTRYPOINT", "CMD")
    )
    assert program == PROGRAM
    assert parser().parse_args([*arguments, *place]).foreground
