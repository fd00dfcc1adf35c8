"""The commands of the cache on disk: by the process of a mount, or on the folder where there is none."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from empirical_fs.cache import survey
from empirical_fs.cache.bounds import Limits
from empirical_fs.cache.folder import LAYOUT
from empirical_fs.cache.folder_probe import check_answers
from empirical_fs.cache.store import Store
from empirical_fs.cli import cache_table
from empirical_fs.cli.arguments import PROGRAM
from empirical_fs.cli.mount_settings import mount_settings
from empirical_fs.cli.output import say, say_json, warn
from empirical_fs.cli.places import check_ways, place_of
from empirical_fs.cli.progress_bar import task_bar
from empirical_fs.control.cache_tasks import Kind, Outcome, Progress, Question, Show, run
from empirical_fs.errors import SetupError, UsageError
from empirical_fs.mount import mount_table
from empirical_fs.mount.daemon import ending_by_exception
from empirical_fs.mount.kept_names import kept_names
from empirical_fs.settings.caching import cache_folder
from empirical_fs.settings.configuration import Configuration
from empirical_fs.settings.key import take_key
from empirical_fs.settings.settings import parse_api_url


def do(command: str, given: argparse.Namespace, variable: str | None) -> bool:
    """Do a command of the cache, and show what came of it; whether all is well.

    Raises:
        SetupError: it cannot be done.
        UsageError: a pattern is the path of something that is not in the mount.
    """
    kind = Kind(command)
    # A task that a mount does ends with this command, also by a signal.
    with ending_by_exception(), task_bar(command, quiet=given.verbosity < 0) as show:
        if given.places:
            place = mount_table.find_ours(place_of(given.places[0]))
            patterns = [_name(each, place) for each in given.places[1:]]
            outcome = _by_mount(place, Question(begin=kind, patterns=patterns, online=given.online), show)
        else:
            found = mount_settings(given, variable)
            folder = _folder(found)
            outcome = _in_folder(kind, folder, _names(found, variable, folder), show)
    _show(kind, outcome, as_json=given.json)
    return _is_well(kind, outcome.result)


def _by_mount(place: Path, question: Question, show: Show) -> Outcome:
    """Have the mount at `place` do it.

    Raises:
        SetupError: it cannot be done.
    """
    before = mount_table.mount_at(place)
    try:
        return run(place, question, show)
    except SetupError as error:
        if before is None or mount_table.mount_at(place) == before:
            raise
        raise SetupError(
            f"{place} was unmounted meanwhile", advice="mount it, and run it again: it goes on from there"
        ) from error


def _name(pattern: str, place: Path) -> str:
    """A pattern of file names; the shell may have completed it to a path in the mount.

    Raises:
        UsageError: it is a path elsewhere.
    """
    folder, slash, name = pattern.rpartition("/")
    if slash and place_of(folder or "/") != place:
        raise UsageError(f"{pattern} is not in the mount", advice="give names of its files, or patterns")
    return name


def _folder(found: Configuration) -> Path:
    """The folder of the cache that the user means.

    Raises:
        SetupError: there is no cache.
    """
    folder = cache_folder(found)
    check_answers(folder)
    check_ways([found["cache_dir"], found["key_file"]])
    if not (folder / LAYOUT).is_dir():
        raise SetupError(f"there is no cache in {folder}", advice="give MOUNTPOINT or --cache-dir")
    return folder


def _names(found: Configuration, variable: str | None, folder: Path) -> survey.Names:
    """The files of the listing that is kept beside the cache, for who has the key; without it, none."""
    try:
        key = take_key(found["key_file"], variable)
    except SetupError:
        return {}
    return kept_names(folder, parse_api_url(found["api_url"], found.api_url_from), key)


class _Watch:
    """Shows how far the work is that this process does itself."""

    def __init__(self, show: Show) -> None:
        self._show = show
        self._expected = self._done = (0, 0)

    def expect(self, files: int, size: int) -> None:
        self._expected = files, size

    def moved(self, files: int, size: int) -> None:
        self._done = self._done[0] + files, self._done[1] + size
        self._show(Progress(self._done[0], self._expected[0], self._done[1], self._expected[1]))


def _in_folder(kind: Kind, folder: Path, names: survey.Names, show: Show) -> Outcome:
    """Show or check a cache without a mount.

    Raises:
        SetupError: it cannot be read.
    """
    store, watch = Store(folder, Limits(0)), _Watch(show)
    try:
        if kind is Kind.CACHED:
            return Outcome(list(survey.rows(store, names, watch)), {})
        found = list(survey.verify(store, names, watch))
    except OSError as error:
        raise SetupError(f"the cache in {folder} cannot be read: {error.strerror}") from error
    rows = [each for each in found if not isinstance(each, survey.Checked)]
    (total,) = (each for each in found if isinstance(each, survey.Checked))
    return Outcome(rows, asdict(total))


def _show(kind: Kind, outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        say_json(_for_programs(kind, outcome))
        return
    if kind is Kind.CACHED:
        say(cache_table.table(outcome.rows))
        return
    for line in cache_table.complaints(outcome.rows, outcome.result):
        warn(PROGRAM, line)
    say(cache_table.summary(kind, outcome.result))


def _for_programs(kind: Kind, outcome: Outcome) -> Mapping[str, Any] | Sequence[Mapping[str, Any]]:
    if kind is Kind.CACHED:
        return outcome.rows
    return {**outcome.result, "files_with_trouble": outcome.rows} if kind is Kind.VERIFY else outcome.result


def _is_well(kind: Kind, result: Mapping[str, Any]) -> bool:
    """Whether everything was done, and no damage found."""
    if kind is Kind.VERIFY:
        return not any(result.get(each) for each in ("damaged", "unreadable", "outdated", "not_asked"))
    return not result.get("failed")
