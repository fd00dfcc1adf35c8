"""The command line: arguments in, one clear line out."""

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from tqdm import tqdm

from empirical_fs import __version__, control, daemon, fuse_binding, logs, mount, mountpoint, status
from empirical_fs.errors import ApiUnavailable, EmpiricalError, KeyRefused, NotTheApi, SetupError
from empirical_fs.listing import Progress, unseen
from empirical_fs.mount_options import parse_mount_options
from empirical_fs.settings import (
    API_URL_VARIABLE,
    DEFAULT_API_URL,
    KEY_VARIABLE,
    URL_LIFE_SECONDS,
    Settings,
    parse_api_url,
    parse_size,
    take_key,
)

_PROGRAM = "empirical-mount"
_FAILED, _USAGE, _INTERRUPTED = 1, 2, 130
_MEMORY_MIN = 2**20


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `empirical-mount`; ends in SystemExit."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.mountpoint is None and not given.status:
        parser.error("the following arguments are required: MOUNTPOINT")
    try:
        if given.unmount:
            # Imported for who asks for it: psutil takes a while.
            from empirical_fs.unmounting import unmount_ours  # noqa: PLC0415

            unmount_ours(_resolved(given.mountpoint), lazy=given.lazy)
        elif given.status:
            _show_status(given)
        elif given.reload:
            control.ask(mountpoint.find_ours(_resolved(given.mountpoint)), control.Command.RELOAD)
        else:
            _mount(given)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except EmpiricalError as error:
        _fail(_explained(error))
    sys.exit(0)


def _mount(given: argparse.Namespace) -> None:
    settings = Settings(
        mountpoint=_resolved(given.mountpoint),
        key=take_key(given.key_file),
        api_url=parse_api_url(given.api_url),
        refresh=given.refresh,
        url_ttl=given.url_ttl,
        memory=given.memory,
        siblings=given.siblings,
        timeout=given.timeout,
        options=parse_mount_options(given.options),
    )
    logs.configure(given.verbosity, given.log_file, daemon=not given.foreground)
    mountpoint.check_machine()
    fuse_binding.check_library()
    was_made = mountpoint.prepare(settings.mountpoint, nonempty=settings.options.nonempty)

    def serve(ready: daemon.Ready) -> None:
        with _progress_bar(quiet=given.verbosity < 0) as progress:
            mount.serve(settings, ready, progress)

    try:
        if given.foreground:
            serve(_nothing)
        elif (failure := daemon.in_background(serve, _explained)) is not None:
            raise SetupError(failure)
        else:
            os.statvfs(settings.mountpoint)
    except BaseException:
        if was_made:
            with contextlib.suppress(OSError):
                settings.mountpoint.rmdir()
        raise


def _show_status(given: argparse.Namespace) -> None:
    if given.mountpoint is not None:
        places = [mountpoint.find_ours(_resolved(given.mountpoint))]
    else:
        places = [Path(each.mountpoint) for each in mountpoint.ours()]
    reports = [_report(place) for place in places]
    if given.json:
        print(json.dumps(reports, indent=2))  # noqa: T201 - what was asked for
    else:
        print(status.table(reports) or "nothing is mounted")  # noqa: T201 - what was asked for


def _report(place: Path) -> dict[str, Any]:
    try:
        return control.ask(place, control.Command.STATUS)
    except SetupError as error:
        return status.unknown(str(place), str(error))


def _nothing() -> None:
    """Nobody waits for the mount."""


@contextlib.contextmanager
def _progress_bar(*, quiet: bool) -> Iterator[Progress]:
    """A bar for a listing of more than a page, on a terminal; gone when the listing is there."""
    if quiet or not sys.stderr.isatty():
        yield unseen
        return
    with contextlib.ExitStack() as stack:
        bars: list[tqdm[NoReturn]] = []

        def show(done: int, pages: int) -> None:
            if pages > 1 and not bars:
                bars.append(stack.enter_context(tqdm(desc="listing", total=pages, unit="page", leave=False)))
            for bar in bars:
                bar.update(done - bar.n)

        yield show


def _explained(error: BaseException) -> str:
    """What happened and what to do about it, in one line."""
    match error:
        case KeyRefused():
            return f"{error}; check {KEY_VARIABLE} or the key file"
        case ApiUnavailable():
            return f"cannot reach the API: {error}; check the network and --api-url"
        case NotTheApi():
            return f"this is not the Empirical API: {error}; check --api-url"
        case EmpiricalError():
            return " ".join(str(error).split())
        case KeyboardInterrupt():
            return "interrupted"
        case _:
            return f"an internal error, please report it: {type(error).__name__}: {error}"


def _fail(message: str) -> NoReturn:
    print(f"{_PROGRAM}: {message}", file=sys.stderr)  # noqa: T201 - the one line that users read
    sys.exit(_FAILED)


def _resolved(path: Path) -> Path:
    return Path(path).expanduser().resolve()


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < float("inf"):
        raise ValueError(text)
    return seconds


def _positive_seconds(text: str) -> float:
    if (seconds := _seconds(text)) == 0:
        raise ValueError(text)
    return seconds


def _url_ttl(text: str) -> float:
    seconds = _positive_seconds(text)
    if seconds >= URL_LIFE_SECONDS:
        raise argparse.ArgumentTypeError(
            f"must be under {URL_LIFE_SECONDS}, which is how long a signed URL lives"
        )
    return seconds


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _memory(text: str) -> int:
    size = _size(text)
    if size < _MEMORY_MIN:
        raise argparse.ArgumentTypeError("must be 1M or more")
    return size


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description="Mount the resources of an Empirical project as a read-only directory.",
        epilog=f"The API key is read from {KEY_VARIABLE}, or from --key-file.",
    )
    add = parser.add_argument
    add(
        "mountpoint",
        metavar="MOUNTPOINT",
        type=Path,
        nargs="?",
        help="directory to mount on; made if it is missing",
    )
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("-u", "--unmount", action="store_true", help="unmount MOUNTPOINT")
    instead.add_argument(
        "--status", action="store_true", help="show the state of the mount at MOUNTPOINT, or of all"
    )
    instead.add_argument("--reload", action="store_true", help="have the mount fetch its listing now")
    add("--lazy", action="store_true", help="with -u: though it is in use, as its users finish")
    add("--json", action="store_true", help="with --status: for programs")
    add("-f", "--foreground", action="store_true", help="stay; SIGINT and SIGTERM unmount")
    add(
        "-o",
        dest="options",
        metavar="OPTS",
        action="append",
        default=[],
        help="mount options, as of mount(8)",
    )
    add("--key-file", metavar="FILE", type=Path, help="file with the API key, readable by you alone")
    add(
        "--api-url",
        metavar="URL",
        default=os.environ.get(API_URL_VARIABLE) or DEFAULT_API_URL,
        help=f"the API (default: {API_URL_VARIABLE}, else {DEFAULT_API_URL})",
    )
    add(
        "--refresh",
        metavar="SECONDS",
        type=_seconds,
        default=60.0,
        help="age at which the listing is fetched again when somebody looks (default: 60)",
    )
    add(
        "--url-ttl",
        metavar="SECONDS",
        type=_url_ttl,
        default=3000.0,
        help=f"how long a signed URL is kept at most, under {URL_LIFE_SECONDS} (default: 3000)",
    )
    add(
        "--memory",
        metavar="SIZE",
        type=_memory,
        default="256M",
        help="read data held in memory at most (default: 256M)",
    )
    add(
        "--siblings",
        metavar="SIZE",
        type=_size,
        default="256K",
        help="files up to SIZE are fetched ahead of a walk through the directory; 0 for none (default: 256K)",
    )
    add(
        "--timeout",
        metavar="SECONDS",
        type=_positive_seconds,
        default=30.0,
        help="deadline of one read (default: 30)",
    )
    add("--log-file", metavar="FILE", type=Path, help="log to FILE")
    add("-v", "--verbose", dest="verbosity", action="count", default=0, help="log more; twice, everything")
    add("-q", "--quiet", dest="verbosity", action="store_const", const=-1, help="log errors only")
    add("--version", action="version", version=f"%(prog)s {__version__}")
    return parser
