"""The command that mounts, in the foreground or in the background."""

import argparse
import logging
from functools import partial
from pathlib import Path

from empirical_fs.cache.folder_probe import check_answers
from empirical_fs.cli import logs
from empirical_fs.cli.arguments import PROGRAM
from empirical_fs.cli.mount_settings import mount_settings
from empirical_fs.cli.output import warn
from empirical_fs.cli.places import check_ways
from empirical_fs.cli.progress_bar import progress_bar
from empirical_fs.control.question import Question
from empirical_fs.errors import ApiError, SetupError, UsageError
from empirical_fs.explaining import explained
from empirical_fs.fuse.loader import check_library
from empirical_fs.mount import daemon, fusermount, liveness, mount_table, serving
from empirical_fs.mount.descriptors import check_descriptors
from empirical_fs.mount.held_directory import HeldDirectory
from empirical_fs.mount.kernel_deadline import below, kernel_deadline
from empirical_fs.mount.memory import check_memory
from empirical_fs.mount.mount_lock import MountLock, lock_for_mount
from empirical_fs.mount.service_manager import tell_ready
from empirical_fs.settings.caching import cache_folder
from empirical_fs.settings.configuration import Configuration
from empirical_fs.settings.mount_options import parse_mount_options
from empirical_fs.settings.settings import Settings, project_values

_SILENCE_SECONDS, _SILENT_TIMEOUTS = 60.0, 2
"""How long the background process may report nothing before it is ready: 60 s and twice the `timeout`."""

log = logging.getLogger(__name__)


def mount(place: Path, given: argparse.Namespace, variable: str | None) -> None:
    """Mount at `place`; returns once the mount answers, or, in the foreground, once it is unmounted.

    Args:
        place: the mount point, as an absolute path without symbolic links.
        given: the arguments.
        variable: the key from the environment, if it was there.

    Raises:
        EmpiricalError: the mount failed.
        OSError: the system refused something.
    """
    check_descriptors()
    check_memory()
    found = mount_settings(given, variable)
    if found["cache"]:
        check_answers(cache_folder(found))
    check_ways([place, found["log_file"], found["key_file"], found["cache_dir"]])
    logs.configure(given.verbosity, found["log_file"], daemon=not given.foreground)
    values = project_values(found, variable, place)
    values["timeout"] = _timeout(values["timeout"])
    options = parse_mount_options(found.mount_options)
    settings = Settings(
        mountpoint=place, options=options, metrics=found["metrics"], sources=found.shown, **values
    )
    fusermount.check_machine()
    check_library()
    # From here on there is something to clean up.
    with daemon.ending_by_exception():
        lock = lock_for_mount(settings.mountpoint, nonempty=settings.options.nonempty)
        try:
            with HeldDirectory(settings.mountpoint) as held:
                _serve(settings, held, lock, given, found)
        except ApiError as error:
            lock.undo()
            raise SetupError(explained(error, found.key_origin, found.api_url_from)) from error
        except BaseException:
            lock.undo()
            raise


def _serve(
    settings: Settings,
    place: HeldDirectory,
    lock: MountLock,
    given: argparse.Namespace,
    found: Configuration,
) -> None:
    """Serve in this process or in the background, and release the lock once the mount is there.

    Raises:
        EmpiricalError: the mount failed.
    """

    def tell(line: str) -> None:
        log.warning("%s", line)
        if found["log_file"] is not None and given.verbosity >= 0:
            warn(PROGRAM, line)

    def serve(ready: daemon.Tell, go_on: daemon.Tell) -> None:
        def mounted() -> None:
            lock.release()
            for each in found.surprises:
                log.warning("%s", each)
            ready()

        with progress_bar(quiet=given.verbosity < 0) as show:

            def progress(done: int, pages: int) -> None:
                go_on()
                show(done, pages)

            serving.serve(settings, place, mounted, progress, tell)

    if given.foreground:
        serve(tell_ready, lambda: None)
        return
    patience = _SILENCE_SECONDS + _SILENT_TIMEOUTS * settings.timeout
    explain = partial(explained, key_origin=found.key_origin, api_url_from=found.api_url_from)
    failure = daemon.in_background(serve, explain, patience, partial(_answers, settings.mountpoint))
    if failure is not None:
        raise (UsageError if failure.is_usage else SetupError)(failure.reason)


def _answers(place: Path) -> bool:
    """Whether our mount is at `place` and answers; without a mount, the directory there would answer too.

    Raises:
        Silent: the mount does not answer.
        OSError: the mount cannot be asked.
    """
    if liveness.lost_its_process(Question(place, seconds=_SILENCE_SECONDS)):
        return False
    mount = mount_table.mount_at(place)
    return mount is not None and mount.is_ours


def _timeout(wanted: float) -> float:
    """The deadline of a read in seconds: `wanted`, or less if the kernel would end the mount before that."""
    limit = kernel_deadline()
    timeout = below(wanted, limit)
    if limit is not None and timeout < wanted:
        log.warning(
            "reads fail after %g s, not %g: %s is %g, after which the kernel ends the mount",
            *(timeout, wanted, limit.sysctl, limit.seconds),
        )
    return timeout
