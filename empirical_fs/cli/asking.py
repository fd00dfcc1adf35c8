"""Asks mounts for their state, or to fetch their listing."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from empirical_fs.cli import status_table
from empirical_fs.cli.output import say, say_json
from empirical_fs.control import protocol
from empirical_fs.errors import SetupError


def show_status(places: Sequence[Path], *, as_json: bool) -> bool:
    """Show the state of the mounts at these places, all of which are asked at once; whether all answer."""
    asked = [_asked(place) for place in places]
    reports = [report() for report in asked]
    if as_json:
        say_json(reports)
    else:
        say(status_table.table(reports) or "nothing is mounted")
    return not any("error" in report for report in reports)


def _asked(place: Path) -> Callable[[], dict[str, Any]]:
    """Ask for a report now, so that the wait for it goes along with that for the others."""
    try:
        answer = protocol.Asked(place, protocol.Command.STATUS).answer
    except SetupError as error:
        return partial(status_table.unknown, str(place), str(error))

    def report() -> dict[str, Any]:
        try:
            # Where it is, it need not tell us.
            return {**answer(), "mountpoint": str(place)}
        except SetupError as error:
            return status_table.unknown(str(place), str(error))

    return report
