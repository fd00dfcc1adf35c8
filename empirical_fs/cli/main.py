"""The command line: arguments in, one clear line out."""

import empirical_fs.guarded  # noqa: F401 - before all else: what follows takes its time

# isort: split
import argparse
import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from empirical_fs.cli import logs
from empirical_fs.cli.arguments import PROGRAM, parser
from empirical_fs.cli.explaining import explained
from empirical_fs.cli.output import ReaderGone, say, say_json, warn
from empirical_fs.control import protocol
from empirical_fs.control.question import Question
from empirical_fs.control.reloading import reload
from empirical_fs.errors import EmpiricalError, KeyRefused, SetupError, UsageError
from empirical_fs.fuse.library import check_library
from empirical_fs.interruptions import heed_interruptions, ignore_interruptions
from empirical_fs.mount import daemon, mount_table, serving, status
from empirical_fs.mount.claim import Claim, claim
from empirical_fs.mount.descriptors import check_descriptors
from empirical_fs.mount.held_directory import HeldDirectory
from empirical_fs.mount.kernel_deadline import below, kernel_deadline
from empirical_fs.mount.resolving import resolved
from empirical_fs.mount.service_manager import tell_ready
from empirical_fs.privacy import KEY_VARIABLE, take_key_variable
from empirical_fs.settings import configuration
from empirical_fs.settings.configuration import Configuration, machine_defaults
from empirical_fs.settings.memory_limit import memory_limit
from empirical_fs.settings.mount_options import of_mount_command, parse_mount_options
from empirical_fs.settings.settings import Settings, looks_like_a_word, parse_api_url, take_key
from empirical_fs.work.progress import Progress, unseen

_FAILED, _USAGE, _INTERRUPTED = 1, 2, 130
_ERRORS_ALONE = -1
_PLACES_MAX = 2
_SILENCE_SECONDS, _SILENT_TIMEOUTS = 60.0, 2
"""How long the background process may say nothing before it is ready: so much, and so many timeouts."""

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `empirical-mount`; ends in SystemExit."""
    given: argparse.Namespace | None = None
    try:
        heed_interruptions()
        variable = take_key_variable()
        reading = parser()
        given, rest = reading.parse_known_args(arguments)
        _check_usage(reading, given, rest)
        if given.doctor:
            sys.exit(_examine(given, variable))
        place = _resolved(given.places[-1]) if given.places else None
        if place is None:
            _show_status([Path(each.mountpoint) for each in mount_table.ours()], as_json=given.json)
        elif given.unmount:
            from empirical_fs.mount.unmount import unmount_ours  # noqa: PLC0415 - for who asks for it

            left = unmount_ours(place, lazy=given.lazy)
            if left is not None:
                warn(PROGRAM, left)
        elif given.status:
            _show_status([mount_table.find_ours(place)], as_json=given.json)
        elif given.reload:
            with _progress_bar(quiet=given.verbosity < 0) as progress:
                reload(mount_table.find_ours(place), progress)
        else:
            _mount(place, given, variable)
    except SystemExit as error:
        _end(error.code if isinstance(error.code, int) else _FAILED, given)
    except KeyboardInterrupt:
        _end(_INTERRUPTED, given)
    except ReaderGone:
        _end(0, given)
    except (EmpiricalError, OSError) as error:
        warn(PROGRAM, explained(error))
        _end(_USAGE if isinstance(error, UsageError) else _FAILED, given)
    _end(0, given)


def _check_usage(reading: argparse.ArgumentParser, given: argparse.Namespace, rest: Sequence[str]) -> None:
    """End with a usage error where the arguments make no sense together."""
    if rest:
        # A value may be a key.
        unknown = [each.partition("=")[0] for each in rest if each.startswith("-")]
        named = ", ".join(filter(looks_like_a_word, unknown))
        reading.error(f"there is no such option: {named or '-...'}" if unknown else "too many arguments")
    if "" in given.places:
        reading.error("MOUNTPOINT is empty")
    if given.lazy and not given.unmount:
        reading.error("--lazy goes with -u")
    if given.json and not (given.status or given.doctor):
        reading.error("--json goes with --status or --doctor")
    if not (given.places or given.status or given.doctor):
        reading.error("the following arguments are required: MOUNTPOINT")
    if len(given.places) > _PLACES_MAX or not all(map(_is_source, given.places[:-1])):
        reading.error(f"one MOUNTPOINT at a time, not {len(given.places)}")


def _mount(place: Path, given: argparse.Namespace, variable: str | None) -> None:
    check_descriptors()
    found = _configuration(given, variable)
    _check_ways([place, found["log_file"], found["key_file"]])
    logs.configure(given.verbosity, found["log_file"], daemon=not given.foreground)
    settings = Settings(
        mountpoint=place,
        key=take_key(found["key_file"], variable, found.values["key_file"].source),
        api_url=parse_api_url(found["api_url"], found.values["api_url"].source),
        refresh=found["refresh"],
        url_ttl=found["url_ttl"],
        memory=found["memory"],
        siblings=found["siblings"],
        timeout=_timeout(found["timeout"]),
        options=parse_mount_options(found.mount_options),
        sources=found.shown,
    )
    mount_table.check_machine()
    check_library()
    claimed = claim(settings.mountpoint, nonempty=settings.options.nonempty)

    try:
        with HeldDirectory(settings.mountpoint) as held:
            _serve(settings, held, claimed, given, found)
    except KeyRefused as error:
        claimed.undo()
        raise SetupError(explained(error, found.key_origin)) from error
    except BaseException:
        claimed.undo()
        raise


def _serve(
    settings: Settings, place: HeldDirectory, claimed: Claim, given: argparse.Namespace, found: Configuration
) -> None:
    def serve(ready: daemon.Tell, go_on: daemon.Tell) -> None:
        def mounted() -> None:
            claimed.release()
            if found.unused_key is not None:
                log.warning("the key is that of %s", found.key_origin)
            ready()

        with _progress_bar(quiet=given.verbosity < 0) as show:

            def progress(done: int, pages: int) -> None:
                go_on()
                show(done, pages)

            serving.serve(settings, place, mounted, progress)

    if given.foreground:
        with daemon.ending_by_exception():
            serve(tell_ready, lambda: None)
        return
    patience = _SILENCE_SECONDS + _SILENT_TIMEOUTS * settings.timeout
    failure = daemon.in_background(serve, partial(explained, key_origin=found.key_origin), patience)
    if failure is not None:
        raise (UsageError if failure.is_usage else SetupError)(failure.reason)
    Question(settings.mountpoint, seconds=_SILENCE_SECONDS).answer()


def _timeout(wanted: float) -> float:
    limit = kernel_deadline()
    timeout = below(wanted, limit)
    if limit is not None and timeout < wanted:
        log.warning(
            "reads fail after %g s, not %g: %s is %g, after which the kernel ends the mount",
            *(timeout, wanted, limit.sysctl, limit.seconds),
        )
    return timeout


def _configuration(given: argparse.Namespace, variable: str | None) -> Configuration:
    """What was asked for; `variable` is the key that was in the environment."""
    options, flags = given.options, vars(given)
    if len(given.places) == _PLACES_MAX:
        # As mount(8) runs us, with the first field of fstab(5).
        options = of_mount_command(options)
        source = given.places[0]
        if _is_url(source) and not given.api_url:
            flags = {**flags, "api_url": source}
    config = configuration.choice(given.config, "config", options)
    profile = configuration.choice(given.profile, "profile", options)
    _check_ways([config])
    file = configuration.read_file(None if config is None else Path(config), profile)
    environment = {**os.environ, KEY_VARIABLE: "taken" if variable else ""}
    return configuration.resolve(flags, options, environment, file, machine_defaults(memory_limit()))


def _is_source(text: str) -> bool:
    """Whether it is what fstab(5) may have before the mount point: a URL of the API, or just a word."""
    return _is_url(text) or "/" not in text


def _is_url(text: str) -> bool:
    return "://" in text


def _show_status(places: Sequence[Path], *, as_json: bool) -> None:
    asked = [_asked(place) for place in places]
    reports = [report() for report in asked]
    if as_json:
        say_json(reports)
    else:
        say(status.table(reports) or "nothing is mounted")


def _examine(given: argparse.Namespace, variable: str | None) -> int:
    """Show each finding as it is there; the exit status is that of a failure if there is one."""
    from empirical_fs.doctor.diagnoses import Verdict, lines  # noqa: PLC0415 - for who asks for it
    from empirical_fs.doctor.project import examine  # noqa: PLC0415

    logs.configure(given.verbosity or _ERRORS_ALONE, given.log_file, daemon=False)
    findings = []
    place = partial(_resolved, given.places[-1]) if given.places else None
    for finding in examine(lambda: _configuration(given, variable), variable, place):
        findings.append(finding)
        if not given.json:
            say("\n".join(lines(finding)))
    if given.json:
        say_json([asdict(each) for each in findings])
    return _FAILED if any(each.verdict is Verdict.FAILED for each in findings) else 0


def _asked(place: Path) -> Callable[[], dict[str, Any]]:
    """Ask for a report now, so that the wait for it goes along with that for the others."""
    try:
        answer = protocol.Asked(place, protocol.Command.STATUS).answer
    except SetupError as error:
        return partial(status.unknown, str(place), str(error))

    def report() -> dict[str, Any]:
        try:
            # Where it is, it need not tell us.
            return {**answer(), "mountpoint": str(place)}
        except SetupError as error:
            return status.unknown(str(place), str(error))

    return report


@contextlib.contextmanager
def _progress_bar(*, quiet: bool) -> Iterator[Progress]:
    """A bar for a listing of more than a page, on a terminal; gone when the listing is there."""
    if quiet or not sys.stderr.isatty():
        yield unseen
        return
    from tqdm import tqdm  # noqa: PLC0415 - a tenth of the time that the program takes to start

    with contextlib.ExitStack() as stack:
        bars: list[tqdm[NoReturn]] = []

        def show(done: int, pages: int) -> None:
            if pages > 1 and not bars:
                bars.append(stack.enter_context(tqdm(desc="listing", total=pages, unit="page", leave=False)))
            for bar in bars:
                bar.update(done - bar.n)

        yield show


def _end(exit_status: int, given: argparse.Namespace | None) -> NoReturn:
    ignore_interruptions()
    if given is not None and given.foreground:
        logging.shutdown()
        # Threads that wait for the network would otherwise hold up the end of the process.
        os._exit(exit_status)
    sys.exit(exit_status)


def _check_ways(paths: Iterable[str | Path | None]) -> None:
    """See that no path leads into a mount that hangs, where whoever looks hangs, too."""
    mount_table.check_answers([_resolved(str(path)) for path in paths if path is not None])


def _resolved(path: str) -> Path:
    try:
        whole = Path(path).expanduser()
    except RuntimeError as error:
        raise SetupError(f"no home directory is known for {path}; write the whole path") from error
    return resolved(whole, [each.mountpoint for each in mount_table.ours()])
