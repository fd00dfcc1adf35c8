"""What `scripts/pictures` runs: a terminal as SVG and a file manager as PNG, of one mount of the samples."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tests.support.harness import environment, mounted_by_program, run, serving, wait_until

_FOLDER = Path(__file__).parents[2] / ".github" / "pictures"
_COMMANDS = (
    "ls -l ~/resources",
    "head -n 3 ~/resources/test-users.csv",
    "getfattr -d --absolute-names ~/resources/test-users.csv",
    "empirical-mount --status ~/resources",
)
_COLUMNS = 92
_HOME = Path("/tmp/empirical")
"""It shows in the pictures, so it is not one of those that are made up."""
_FONTS = re.compile("@font-face {.*?}", re.DOTALL)
_DISPLAY, _SCREEN = ":87", "640x480x24"
_WINDOW_PATIENCE = 60.0


def main() -> None:
    """Make both pictures."""
    _HOME.mkdir(mode=0o700)
    try:
        with (
            serving(_HOME / "project", _HOME / "sandbox-url", "--samples") as sandbox,
            mounted_by_program(_HOME / "resources", sandbox.url),
        ):
            _FOLDER.mkdir(parents=True, exist_ok=True)
            _terminal(_FOLDER / "terminal.svg")
            _file_manager(_FOLDER / "file-manager.png")
    finally:
        shutil.rmtree(_HOME)


def _terminal(picture: Path) -> None:
    """Run the commands as a user at home would, and draw what they print."""
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=_COLUMNS, file=nowhere)
        programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        for command in ("empirical-mount ~/resources", *_COMMANDS):
            console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
            if command in _COMMANDS:
                done = run("sh", "-c", command, env=environment(HOME=str(_HOME), PATH=programs))
                console.print(Text(done.stdout.replace(str(_HOME), "~").rstrip()))
        # The fonts would be fetched from elsewhere; those of whoever looks will do.
        picture.write_text(_FONTS.sub("", console.export_svg(title="A sandbox project")))


def _file_manager(picture: Path) -> None:
    """Open the mount in a file manager on a screen that nobody sees, and copy that."""
    with _screen():
        wanted = environment(DISPLAY=_DISPLAY, HOME=str(_HOME), XDG_CONFIG_HOME=str(_HOME / "config"))
        session = ["dbus-run-session", "--", "pcmanfm", "--no-desktop", str(_HOME / "resources")]
        with subprocess.Popen(session, env=wanted, stderr=subprocess.DEVNULL) as manager:
            try:

                def is_shown() -> bool:
                    windows = run("xwininfo", "-root", "-tree", env=wanted).stdout
                    return '"resources"' in windows

                wait_until(is_shown, "the window", _WINDOW_PATIENCE)
                before = b""

                def is_drawn() -> bool:
                    """Whether two pictures in a row are the same: icons come after the window."""
                    nonlocal before
                    run("import", "-window", "root", picture, env=wanted)
                    last, before = before, picture.read_bytes()
                    return last == before

                wait_until(is_drawn, "a picture that stays", _WINDOW_PATIENCE)
            finally:
                manager.terminate()


@contextmanager
def _screen() -> Iterator[None]:
    with subprocess.Popen(
        ["Xvfb", _DISPLAY, "-screen", "0", _SCREEN, "-nolisten", "tcp"], stderr=subprocess.DEVNULL
    ) as server:
        try:
            wanted = environment(DISPLAY=_DISPLAY)
            wait_until(
                lambda: run("xwininfo", "-root", check=False, env=wanted).returncode == 0, "the screen"
            )
            yield
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
