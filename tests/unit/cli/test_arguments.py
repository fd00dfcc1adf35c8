"""`--help` and README have every option, with its default, and errors do not repeat what may be a key."""

import argparse
import re
import sys
from pathlib import Path

import pytest

from empirical_fs.cli.arguments import parser
from empirical_fs.settings.options import OPTIONS
from tests.support.harness import run

README = (Path(__file__).parents[3] / "README.md").read_text()
_LINES_MAX, _COLUMNS_MAX = 50, 100


def flags() -> list[str]:
    """Every option that the parser knows, each way to write it."""
    return [flag for action in parser()._actions for flag in action.option_strings]


def test_help_fits_a_screen() -> None:
    """It is read without scrolling."""
    lines = parser().format_help().splitlines()
    assert len(lines) <= _LINES_MAX
    assert max(map(len, lines)) <= _COLUMNS_MAX


@pytest.mark.parametrize("flag", flags())
def test_every_option_is_in_the_readme(flag: str) -> None:
    """The table of the README has it."""
    table = README.partition("\n## Options\n")[2].partition("\n## ")[0]
    assert re.search(rf"`{flag}[ `]", table)


@pytest.mark.parametrize("name", OPTIONS)
def test_defaults_in_the_readme(name: str) -> None:
    """And its default."""
    option = OPTIONS[name]
    row = re.search(rf"^\| `{option.flag}[^|]*\| ([^|]*)\|", README, re.MULTILINE)
    assert row is not None
    assert (option.default or "") in row[1]
    assert (option.variable or "") in row[1]


def test_nothing_is_said_twice() -> None:
    """No default is in the parser: who gives nothing leaves the choice to the file."""
    given = parser().parse_args(["/mnt"])
    assert all(getattr(given, name) is None for name in OPTIONS)


def test_settings_and_flags_have_one_name() -> None:
    """The setting of the file is the flag, with `_` for `-`."""
    actions = {action.dest: action for action in parser()._actions if isinstance(action, argparse.Action)}
    assert all(actions[name].option_strings == [option.flag] for name, option in OPTIONS.items())


SECRET = "KEYTEXT-0123456789"


@pytest.mark.parametrize(
    ("argument", "phrase"),
    [
        (f"--json={SECRET}", "--json: takes no value"),
        (f"--s={SECRET}", "ambiguous option: --s could match"),
        (f"--refresh={SECRET}", "--refresh: not a number of seconds"),
        (f"--memory={SECRET}", "--memory: not a size"),
        ("--\x1b[2J=", "ambiguous|no such|unrecognized"),
    ],
)
def test_what_is_wrong_is_shown_without_values(
    capsys: pytest.CaptureFixture[str], argument: str, phrase: str
) -> None:
    """A value may be a key, and nothing speaks to a terminal."""
    with pytest.raises(SystemExit):
        parser().parse_args([argument, "/m"])
    said = capsys.readouterr().err
    assert re.search(phrase, said)
    assert SECRET not in said
    assert all(line.isprintable() for line in said.split("\n"))


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--refresh", "x"], "--refresh: not a number of seconds: 'x'; write for example 30"),
        (["--memory=lots"], "--memory: not a size: 'lots'; write for example 256M"),
        (["--memory=1K"], "--memory: must be 1M or more"),
        (["--url-ttl=3600"], "--url-ttl: must be under 3600, which is how long a signed URL lives"),
        (["--key-file="], "--key-file: is empty; give one, or leave the option out"),
        (["--timeout"], "--timeout: expected one argument"),
        (["-u", "--status"], "--status: not allowed with argument -u/--unmount"),
    ],
)
def test_wrong_values(capsys: pytest.CaptureFixture[str], arguments: list[str], line: str) -> None:
    """One line says what is wrong, what would be right, and where there is more; the status is 2."""
    with pytest.raises(SystemExit) as caught:
        parser().parse_args(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err == f"empirical-mount: {line}; see empirical-mount --help\n"


@pytest.mark.parametrize(
    ("rest", "line"),
    [
        (["--refersh", "5"], "there is no such option: --refersh; the nearest is --refresh"),
        (["--stauts"], "there is no such option: --stauts; the nearest is --status"),
        ([f"--key={SECRET}"], "there is no such option: --key; the nearest is --key-file"),
        (["--qqqqq", "-x"], "there is no such option: --qqqqq, -x"),
        (["--" + SECRET], "there is no such option: -..."),
        (["a", "b"], "too many arguments"),
    ],
)
def test_unknown_arguments(capsys: pytest.CaptureFixture[str], rest: list[str], line: str) -> None:
    """An option that nobody knows is named with the nearest that there is, unless it may be a key."""
    with pytest.raises(SystemExit) as caught:
        parser().refuse(rest)
    assert caught.value.code == 2
    assert capsys.readouterr().err == f"empirical-mount: {line}; see empirical-mount --help\n"


@pytest.mark.parametrize("module", ["empirical_fs.cli.showing_status", "empirical_fs.mount.unmount"])
def test_commands_that_are_run_often_import_little(module: str) -> None:
    """What takes as long to import as the rest of such a command is imported only where it is needed."""
    program = f"import sys, empirical_fs.cli.main, empirical_fs.cli.places, {module}; print(*sys.modules)"
    imported = set(run(sys.executable, "-c", program).stdout.split())
    assert module in imported
    assert not imported & {"msgspec", "psutil", "httpx", "prometheus_client", "tqdm", "shutil"}
