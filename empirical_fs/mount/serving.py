"""Serves a mount: creates its parts in order, mounts, and closes them after the unmount."""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from empirical_fs import macos
from empirical_fs.catalog.directory_times import DirectoryTimes, place_of
from empirical_fs.catalog.snapshot import Entry, Snapshot
from empirical_fs.control.protocol import Command
from empirical_fs.engine.engine import Engine
from empirical_fs.engine.starting import Tell
from empirical_fs.errors import ApiError, ConnectionAborted, NoThread, SetupError, UsageError
from empirical_fs.fuse.answering import Answering
from empirical_fs.fuse.attributes import Attributes
from empirical_fs.fuse.files import Files
from empirical_fs.fuse.inode_table import InodeTable
from empirical_fs.fuse.library import Library
from empirical_fs.fuse.loader import load_library
from empirical_fs.fuse.operations import Operations, Tools
from empirical_fs.fuse.options import FuseOptions, fuse_options
from empirical_fs.fuse.passthrough import Passthrough
from empirical_fs.fuse.session import LibfuseFailed, MountFailed, Session
from empirical_fs.metrics.measuring import Parts
from empirical_fs.mount import kernel_passthrough, kernel_read_ahead, metrics
from empirical_fs.mount.affinity import Affinity, OwnCpus
from empirical_fs.mount.captured_stderr import CapturedStderr
from empirical_fs.mount.held_directory import HeldDirectory
from empirical_fs.mount.lifecycle import Lifecycle, Place
from empirical_fs.mount.mount_lock import lock_for_mount
from empirical_fs.mount.null_cache import NullCache
from empirical_fs.mount.refusals import refusal
from empirical_fs.mount.security_modules import surroundings
from empirical_fs.mount.signals import Signals
from empirical_fs.mount.status import Reach, Status
from empirical_fs.mount.unknown_options import unknown_option
from empirical_fs.settings.mount_options import SOURCE_PREFIX, without_values
from empirical_fs.settings.settings import Settings
from empirical_fs.work.progress import Progress, unseen
from empirical_fs.work.threads import Pool

_NAMES_SECONDS_MAX = 60.0
_ATTRIBUTES_SHARE, _ATTRIBUTES_SECONDS_MAX = 0.1, 6.0
_IN_FLIGHT_IN_KERNEL = 4096
"""Requests that the kernel may have under way in the background, for its read-ahead (`max_background` of
libfuse). A request that waits occupies no thread here."""
_LATER_THREADS = 8
"""Threads for opens of files whose size is unknown: each open asks the store for the size."""
_COMMAND_THREADS = 4
_DISK_THREADS = 2
"""Threads that ask the disk how much of a file is on it, as an extended attribute tells."""
_GENERATION_BYTES = 4
_STACK = 2**20
_SWITCH_SECONDS = 0.001

_AGAIN_SECONDS = 5.0

log = logging.getLogger(__name__)


def serve(
    settings: Settings, place: HeldDirectory, ready: Callable[[], None], progress: Progress, tell: Tell
) -> None:
    """Fetch the listing, mount at `place`, call `ready` once the kernel has the mount; return at the unmount.

    If the kernel ends the mount by itself, mount again. `tell` tells the user that the mount starts offline.

    Raises:
        ApiError: the listing could not be fetched.
        SetupError: the mount failed.
    """
    # Python keeps its own stack elsewhere; 8 MiB for each thread, the default, may exceed a memory limit.
    threading.stack_size(_STACK)
    # While one thread computes, another that answers the kernel waits so long for Python's lock; the default
    # of 5 ms is too long.
    sys.setswitchinterval(_SWITCH_SECONDS)
    signals = Signals()
    with metrics.served_at(settings.metrics) as show:
        try:
            _serve_once(settings, place, ready, progress, signals, tell, show)
        except ConnectionAborted as error:
            log.error("%s", error)
            while not _is_served_again(settings, signals, show):
                pass


def _is_served_again(settings: Settings, signals: Signals, show: metrics.Show) -> bool:
    """Mount again where the kernel has ended the mount, and serve; False if the caller must try once more.

    True once the mount was unmounted as usual.

    Raises:
        SetupError: the mount failed, or something else is mounted there.
    """
    lock = lock_for_mount(settings.mountpoint, nonempty=settings.options.nonempty)

    def ready() -> None:
        lock.release()
        log.warning("%s is mounted again", settings.mountpoint)

    try:
        with HeldDirectory(settings.mountpoint) as place:
            _serve_once(settings, place, ready, unseen, signals, log.warning, show)
    except ConnectionAborted as error:
        log.error("%s", error)
        return False
    except (ApiError, NoThread) as error:
        log.warning("it cannot be mounted again yet: %s", error)
        time.sleep(_AGAIN_SECONDS)
        return False
    finally:
        lock.release()
    return True


def _serve_once(  # noqa: PLR0913, PLR0917 - what differs between the first mount and the next ones
    settings: Settings,
    place: HeldDirectory,
    ready: Callable[[], None],
    progress: Progress,
    signals: Signals,
    tell: Tell,
    show: metrics.Show,
) -> None:
    """Create the parts of one mount, and serve it until it is unmounted.

    Raises:
        ApiError: the listing could not be fetched.
        SetupError: the mount failed.
        ConnectionAborted: the kernel has ended the mount.
    """
    library = load_library()
    options, no_passthrough = _fuse_options(library, settings)
    closing = threading.Event()

    def changed(names: Mapping[str, Entry | None], older: Snapshot, newer: Snapshot) -> None:
        # The kernel comes last: notifying it may take a while.
        cache.relisted(newer.touched_since(older, names), newer.resources)
        inodes.changed(names, older, newer)

    engine = Engine(
        settings,
        closing=closing,
        on_change=changed,
        on_moved=Affinity(OwnCpus(), closing.wait).moved,
        times=_times(settings),
    )
    session = Session(library, engine.timer)
    inodes = InodeTable(session)
    passthrough = Passthrough(inodes, session, no_passthrough)
    cache = _cache(engine)
    engine.load(progress, tell, cache.replaced)
    tasks = cache.tasks()
    stderr = CapturedStderr()
    lifecycle = Lifecycle(
        engine.readers,
        stderr,
        Place(settings.mountpoint, options.connection["max_readahead"]),
        ready,
    )
    later, for_commands, for_disk = Pool(_LATER_THREADS), Pool(_COMMAND_THREADS), Pool(_DISK_THREADS)
    tools = Tools(
        library=library,
        options=options,
        attributes=Attributes(
            library, settings.options, options, int.from_bytes(os.urandom(_GENERATION_BYTES))
        ),
        answering=Answering(engine.statistics, later, settings.timeout),
        timer=engine.timer,
        commands={
            **Status(
                settings,
                engine.catalog,
                engine.statistics,
                engine.budget,
                Reach(engine.api.lost, engine.store.lost),
                cache.report,
                passthrough.report,
            ).commands,
            Command.TASK: tasks.answer,
        },
        for_commands=for_commands,
        on_disk=cache.percentages(for_disk),
    )

    def connected() -> None:
        lifecycle.connected()
        engine.settle()
        cache.connected()

    files = Files(engine.catalog, inodes, engine.walks, passthrough, cache.whole_files)
    operations = Operations(files, tools, connected)
    signals.end(lifecycle)
    show(
        Parts(
            engine.statistics,
            engine.catalog,
            engine.budget,
            engine.readers,
            {"api": engine.api.lost, "store": engine.store.lost},
            engine.cache_state,
        )
    )
    try:
        _run(partial(session.serve, operations, place, options), lifecycle, stderr, settings)
    finally:
        show(None)
        closing.set()
        for each in (tasks, later, for_commands, for_disk, cache, engine):
            each.close()


def _run(
    serve: Callable[[], object], lifecycle: Lifecycle, stderr: CapturedStderr, settings: Settings
) -> None:
    """Call `serve`, which returns once the mount is unmounted.

    Raises:
        SetupError: the mount failed.
        ConnectionAborted: the kernel has ended the mount.
    """
    stderr.start()
    try:
        with _failures_of_libfuse(lifecycle):
            serve()
        lifecycle.see_to_end()
    except MountFailed as error:
        said = without_values(stderr.text(), settings.options.fuse)
        raise _refused(said, settings.mountpoint) from error
    finally:
        stderr.stop()


@contextmanager
def _failures_of_libfuse(lifecycle: Lifecycle) -> Iterator[None]:
    """Unmount if libfuse fails. If the mount was unmounted already, its failure is no error."""
    try:
        yield
    except LibfuseFailed as error:
        if not lifecycle.was_unmounted:
            lifecycle.abandon()
            raise
        log.debug("%s, as it was unmounted", error)


def _fuse_options(library: Library, settings: Settings) -> tuple[FuseOptions, str | None]:
    """The options of the mount, and why the kernel is not to read cached files by itself; None if it is."""
    options = fuse_options(
        library,
        _given(settings),
        # The kernel asks again once these times are over; that alone shows us that programs still use a name.
        entry_seconds=min(settings.refresh, _NAMES_SECONDS_MAX),
        attribute_seconds=min(settings.refresh * _ATTRIBUTES_SHARE, _ATTRIBUTES_SECONDS_MAX),
    )
    cache = None if settings.cache is None else settings.cache.folder
    return kernel_passthrough.with_passthrough(options, library, cache)


def _cache(engine: Engine) -> NullCache:
    """What the mount does with its cache on disk, or what stands for it."""
    if engine.cache is None:
        return NullCache(engine.timer)
    # These modules take a tenth of a mount's start.
    from empirical_fs.mount.disk_cache import MountedCache  # noqa: PLC0415

    return MountedCache(engine.cache, engine)


def _times(settings: Settings) -> DirectoryTimes:
    return DirectoryTimes(place_of(settings.mountpoint, str(settings.api_url), os.environ))


def _given(settings: Settings) -> dict[str, str | bool]:
    """The user's mount options, and the defaults of this program."""
    host = settings.api_url.netloc.decode("ascii")
    options: dict[str, str | bool] = {
        "fsname": f"{SOURCE_PREFIX}{host}",
        # By the kernel's default, a dozen waiting reads would delay all others.
        "max_background": str(_IN_FLIGHT_IN_KERNEL),
        "max_readahead": str(kernel_read_ahead.KIB * 2**10),
        **settings.options.fuse,
    }
    return macos.fuse_options(options, f"Empirical {host}") if macos.IS_MACOS else options


def _refused(said: str, place: Path) -> SetupError:
    """The error for a mount at `place` that was refused; `said` is what libfuse wrote to stderr."""
    unknown = unknown_option(said)
    if unknown is not None:
        return UsageError(unknown)
    trouble = refusal(said, place, surroundings())
    return SetupError(f"cannot mount: {trouble.what}", advice=trouble.advice)
