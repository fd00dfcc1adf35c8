"""The man page says what the program can do, and reads well."""

import argparse
from pathlib import Path

import pytest

from empirical_fs.cli.arguments import parser
from empirical_fs.settings.options import OPTIONS
from scripts.packaging.generate import MANUAL, generated
from tests.support.harness import environment, run


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("manual") / MANUAL.name
    path.write_text(generated()[MANUAL])
    return path


@pytest.fixture(scope="module")
def shown(page: Path) -> str:
    done = run("man", "--warnings", "-l", page, env=environment(MANWIDTH="200", MAN_KEEP_FORMATTING=None))
    assert done.stderr == ""
    return done.stdout


def test_every_option_is_there(shown: str) -> None:
    """Each option that the parser knows is in OPTIONS, with its help."""
    for action in parser()._actions:
        if action.option_strings and action.help:
            names = ", ".join(action.option_strings)
            assert names in shown
            assert action.help.split("(")[0].strip() in shown


def test_a_new_option_is_there() -> None:
    """What somebody adds to the parser appears, in a group or in none, whatever characters are in it."""

    def with_more() -> argparse.ArgumentParser:
        more = parser()
        more.add_argument("--probe", action="store_true", help="look what is wrong: 100%% of it, in ~/'x'")
        more.add_argument_group("far away").add_argument("--remote", metavar="HOST", help=".hidden")
        return more

    text = generated(with_more)[MANUAL]
    assert "\\fB\\-\\-probe\\fR\nlook what is wrong: 100% of it, in \\(ti/\\(aqx\\(aq\n" in text
    assert ".SS Far away\n.TP\n\\fB\\-\\-remote\\fR \\fIHOST\\fR\n\\&.hidden\n" in text


def test_sections(shown: str) -> None:
    """The sections are those of man-pages(7), in their order."""
    headings = [line for line in shown.splitlines() if line[:1].isupper() and "(1)" not in line]
    assert headings == [
        "NAME",
        "SYNOPSIS",
        "DESCRIPTION",
        "OPTIONS",
        "ENVIRONMENT",
        "FILES",
        "EXIT STATUS",
        "ERRORS",
        "EXAMPLES",
        "SEE ALSO",
    ]


def test_variables(shown: str) -> None:
    """ENVIRONMENT has every variable that gives a setting."""
    variables = shown.partition("\nENVIRONMENT\n")[2].partition("\nFILES\n")[0]
    for option in OPTIONS.values():
        if option.variable is not None:
            assert f"       {option.variable}\n" in variables


def test_whatis(page: Path) -> None:
    """`whatis` and `apropos` can tell what it is about."""
    found = run("lexgrog", page).stdout
    assert "empirical-mount - mount the resources of an Empirical project as a read-only directory" in found


def test_every_command_is_in_the_synopsis(shown: str) -> None:
    """SYNOPSIS has a line for each thing that the program does."""
    synopsis = shown.partition("\nSYNOPSIS\n")[2].partition("\nDESCRIPTION\n")[0]
    for command in ("--unmount", "--status", "--reload", "--doctor", "--help", "--version"):
        assert f" {command}" in synopsis
