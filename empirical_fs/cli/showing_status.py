"""Asks mounts for their state, and shows it."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from empirical_fs.cli import status_table
from empirical_fs.cli.output import say, say_json
from empirical_fs.control import protocol
from empirical_fs.errors import SetupError


def show_status(places: Sequence[Path], *, as_json: bool) -> bool:
    """Show the state of the mounts at `places`, all asked at the same time; return whether all answer."""
    asked = [_asked(place) for place in places]
    reports = [report() for report in asked]
    if as_json:
        say_json(reports)
    else:
        say(status_table.table(reports) or "nothing is mounted")
    return not any("error" in report for report in reports)


def _asked(place: Path) -> Callable[[], dict[str, Any]]:
    """Ask a mount for its report now; the function that is returned waits for it, and for all in parallel."""
    try:
        answer = protocol.Asked(place, protocol.Command.STATUS).answer
    except SetupError as error:
        return partial(status_table.unknown, str(place), str(error))

    def report() -> dict[str, Any]:
        try:
            # We know the path better: the mount reports the one that it was mounted on.
            return {**answer(), "mountpoint": str(place)}
        except SetupError as error:
            return status_table.unknown(str(place), str(error))

    return report
