"""The command `empirical-mount`: parses the arguments, runs what was asked for, reports an error in one line.

Each command imports its own modules, so that none waits for those of the others.
"""

import empirical_fs.guarded  # noqa: F401 - before all else: the imports below take a while

# isort: split
import argparse
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from empirical_fs.cli.arguments import (
    PATTERNS_OF,
    PLACES_MAX,
    PROGRAM,
    Parser,
    asked_of_cache,
    is_source,
    parser,
)
from empirical_fs.cli.output import ReaderGone, warn
from empirical_fs.errors import EmpiricalError, UsageError
from empirical_fs.explaining import explained
from empirical_fs.interruptions import heed_interruptions, ignore_interruptions
from empirical_fs.privacy import take_key_variable

_FAILED, _USAGE, _INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `empirical-mount`, and end the process."""
    given: argparse.Namespace | None = None
    try:
        heed_interruptions()
        variable = take_key_variable()
        reading = parser()
        given, rest = reading.parse_known_args(arguments)
        _check_usage(reading, given, rest)
        if not _is_done(given, variable):
            _end(_FAILED)
    except SystemExit as error:
        _end(error.code if isinstance(error.code, int) else _FAILED)
    except KeyboardInterrupt:
        _end(_INTERRUPTED)
    except ReaderGone:
        _end(0)
    except (EmpiricalError, OSError, MemoryError) as error:
        warn(PROGRAM, explained(error))
        _end(_USAGE if isinstance(error, UsageError) else _FAILED)
    _end(0)


def _is_done(given: argparse.Namespace, variable: str | None) -> bool:
    """Do what was asked for; False if it failed, which is told already.

    Raises:
        EmpiricalError, OSError, MemoryError: it failed.
    """
    # Each command imports what it needs: all the modules together would take half a second.
    if given.doctor:
        from empirical_fs.cli.examining import examine

        return examine(given, variable)
    command = asked_of_cache(given)
    if command is not None:
        from empirical_fs.cli.caching import do

        return do(command, given, variable)
    from empirical_fs.cli.places import place_of
    from empirical_fs.mount import mount_table

    place = place_of(given.places[-1]) if given.places else None
    if place is None:
        from empirical_fs.cli.showing_status import show_status

        show_status([Path(each.mountpoint) for each in mount_table.ours()], as_json=given.json)
    elif given.unmount:
        from empirical_fs.mount.unmount import unmount_ours

        left = unmount_ours(place, lazy=given.lazy)
        if left is not None:
            warn(PROGRAM, left)
    elif given.status:
        from empirical_fs.cli.showing_status import show_status

        return show_status([mount_table.find_ours(place)], as_json=given.json)
    elif given.reload:
        from empirical_fs.cli.progress_bar import progress_bar
        from empirical_fs.control.reloading import reload

        with progress_bar(quiet=given.verbosity < 0) as progress:
            reload(mount_table.find_ours(place), progress)
    else:
        from empirical_fs.cli.mounting import mount

        mount(place, given, variable)
    return True


def _check_usage(reading: Parser, given: argparse.Namespace, rest: Sequence[str]) -> None:
    """Exit with a usage error if the arguments do not fit together."""
    if rest:
        reading.refuse(rest)
    # From `--name=--`, argparse makes an empty list.
    taken = {**vars(given), "places": None, "options": next(filter(_is_list, given.options or ()), None)}
    if valueless := [name for name, value in taken.items() if _is_list(value)]:
        reading.error(f"{', '.join(valueless)}: -- is not a value")
    if "" in given.places:
        reading.error("MOUNTPOINT is empty")
    if given.lazy and not given.unmount:
        reading.error("--lazy goes with -u")
    command = asked_of_cache(given)
    if given.json and not (given.status or given.doctor or command):
        reading.error("--json goes with --status, --doctor or a command of the cache")
    if given.online and not given.verify:
        reading.error("--online goes with --verify")
    if command is not None:
        _check_cache_usage(reading, given, command)
        return
    if not (given.places or given.status or given.doctor):
        reading.error("the following arguments are required: MOUNTPOINT")
    if len(given.places) > PLACES_MAX or not all(map(is_source, given.places[:-1])):
        reading.error(f"one MOUNTPOINT at a time, not {len(given.places)}")


def _check_cache_usage(reading: Parser, given: argparse.Namespace, command: str) -> None:
    """Exit with a usage error if a command of the cache has too few or too many places and patterns."""
    patterns = max(len(given.places) - 1, 0)
    if not given.places and (command in PATTERNS_OF or given.online):
        reading.error("the following arguments are required: MOUNTPOINT")
    if command not in PATTERNS_OF and patterns:
        reading.error(f"one MOUNTPOINT at a time, not {len(given.places)}")
    if patterns < PATTERNS_OF.get(command, 0):
        reading.error("the following arguments are required: PATTERN")


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _end(exit_status: int) -> NoReturn:
    """End the process; what was said is written by then.

    Not by sys.exit, which would wait for threads that wait for the network, and take apart all modules, which
    takes as long as a tenth of a mount's start.
    """
    ignore_interruptions()
    logging.shutdown()
    os._exit(exit_status)
