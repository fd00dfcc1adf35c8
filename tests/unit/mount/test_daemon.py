"""A process in the background is ready only if its mount answers, and says why if it fails."""

import subprocess
import sys
import textwrap

import pytest

PATIENCE = 30.0
PROGRAM = """
import logging, os, signal, sys, time
from empirical_fs.errors import SetupError, UsageError
from empirical_fs.mount.daemon import in_background

def serve(ready, go_on):
    {serve}

def answers():
    {answers}

try:
    failure = in_background(serve, str, {patience}, answers)
    print(failure.reason if failure else "ready", failure.is_usage if failure else "")
except OSError as error:
    failure = error
    print(error.strerror)
if failure:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        pass
    else:
        print("the process is left behind")
"""


def said(serve: str, answers: str = "return True", patience: float = PATIENCE) -> str:
    """What the parent makes of a process that serves so, of a mount that answers so; nothing may be left."""
    program = PROGRAM.format(serve=serve, answers=answers, patience=patience)
    # In a process of its own, for it forks.
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        timeout=PATIENCE,
        check=True,
        text=True,
    )
    assert "left behind" not in done.stdout
    return done.stdout.strip()


def test_ready() -> None:
    """The parent goes on while the process serves."""
    assert said("ready(); time.sleep(0.2)") == "ready"


@pytest.mark.parametrize(
    ("serve", "answers", "expected"),
    [
        ("raise SetupError('it is so', advice='mend it')", "return True", "it is so; mend it False"),
        ("raise UsageError('no such option')", "return True", "no such option True"),
        ("go_on(); raise SetupError('after a page')", "return True", "after a page False"),
        ("os._exit(0)", "return True", "the background process ended before it was ready False"),
        ("os.kill(os.getpid(), 9)", "return True", "the background process ended before it was ready False"),
        ("ready(); raise SetupError('it is gone')", "return False", "it is gone False"),
        ("ready(); raise SetupError('it is gone')", "time.sleep(0.2); return False", "it is gone False"),
        ("go_on(); ready(); time.sleep(0.2); raise SetupError('gone')", "return False", "gone False"),
        (
            "ready()",
            "return False",
            "the mount was there, and is gone again; the log may say why False",
        ),
        (
            "ready(); os.kill(os.getpid(), 9)",
            "return False",
            "the mount was there, and is gone again; the log may say why False",
        ),
    ],
)
def test_failures(serve: str, answers: str, expected: str) -> None:
    """One that ends before it is ready, or before its mount answers, has failed, and its reason is heard."""
    assert said(serve, answers) == expected


@pytest.mark.parametrize(
    ("serve", "answers", "patience", "expected"),
    [
        ("time.sleep(60)", "return True", 0.1, "said nothing for 0 s, and was ended"),
        ("ready(); time.sleep(60)", "return False", PATIENCE, "is gone again"),
        ("ready(); time.sleep(60)", "raise OSError(12, 'no memory')", PATIENCE, "no memory"),
    ],
)
def test_one_that_does_not_end_is_ended(serve: str, answers: str, patience: float, expected: str) -> None:
    """It is not left behind, whether it never was ready or its mount does not answer."""
    assert expected in said(serve, answers, patience)
