"""The command line of the soak."""

import argparse
import os
import ssl
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.soak.gauges import gauges
from tests.soak.project import Contents, faults
from tests.soak.readers import Readers, Seen, coming_and_going
from tests.soak.shown import soak_attributes, soak_calls
from tests.support import nginx
from tests.support.cable import laid
from tests.support.harness import (
    Mounted,
    Sandbox,
    mount_command,
    mounted_by_program,
    run,
    serving,
    wait_until,
)

_TIMEOUT = 10.0
_STALL_MAX = 2 * _TIMEOUT + 3.0
"""A read of ours may be two of the kernel's, one after the other."""
_END_MAX = 3.0
_WARM_UP_SHARE = 0.25
_READERS = 16


def main() -> None:
    given = _parser().parse_args()
    parts: Mapping[str, Callable[[Path], list[str]]] = {
        "reading": partial(_soak_reading, given),
        "cached": partial(_soak_cached, given),
        "attributes": lambda folder: soak_attributes(folder, given.minutes * 60, given.seed, _say),
        "calls": lambda folder: soak_calls(folder, _say),
    }
    failed: list[str] = []
    for name in given.only or parts:
        with tempfile.TemporaryDirectory(prefix="empirical-soak-", dir="/var/tmp") as folder:
            failed += parts[name](Path(folder).resolve())
    for line in failed:
        _say(f"FAILED: {line}")
    sys.exit(1 if failed else 0)


@dataclass(frozen=True)
class Place:
    """Where all of it happens."""

    folder: Path
    sandbox: Sandbox
    contents: Contents
    mounted: Callable[..., AbstractContextManager[Mounted]]
    """Mounts the project at a path, with more options than those of every mount here."""

    def folder_for(self, what: str) -> Path:
        """A new folder."""
        found = self.folder / what
        found.mkdir()
        return found


def _soak_reading(given: argparse.Namespace, folder: Path) -> list[str]:
    with ExitStack() as stack:
        place = _place(given, folder, stack)
        mount = stack.enter_context(place.mounted(folder / "mnt"))
        return _soak(given, place, mount, lambda _seen: nullcontext())


def _soak_cached(given: argparse.Namespace, folder: Path) -> list[str]:
    """As above, from a disk cache for half of it; a second mount of the same cache comes and goes beside."""
    # A share of what is kept makes room for the rest again and again.
    cache = ("--cache-dir", folder / "cache", "--cache-size", "64M", "--cache-min-free", "0")
    with ExitStack() as stack:
        place = _place(given, folder, stack)
        mount = stack.enter_context(place.mounted(folder / "mnt", *cache))
        second = partial(place.mounted, folder / "second", *cache)
        copy = place.folder_for("second-copy")

        def beside(seen: Seen) -> AbstractContextManager[None]:
            return coming_and_going(second, lambda path: Readers(path, place.contents, copy, seen), seen)

        failed = _soak(given, place, mount, beside)
        done = run(*mount_command("--verify", mount.path), check=False)
        _say(f"verified: {done.stdout.splitlines()[-1:]}{done.stderr.strip()}")
        return [*failed, *(["the cache was damaged"] if done.returncode else [])]


def _place(given: argparse.Namespace, folder: Path, stack: ExitStack) -> Place:
    trusted, cable = None, None
    if given.tls:
        nginx.make_certificate(folder)
        trusted, cable = nginx.authority(folder), stack.enter_context(laid(_encryption(folder)))
    public = () if cable is None else ("--public-host", cable.url)
    sandbox = stack.enter_context(serving(folder / "project", folder / "sandbox-url", *public))
    if cable is not None:
        cable.plug(sandbox.url)
    variables = {
        "SSL_CERT_FILE": None if trusted is None else str(trusted),
        "PYTHONPATH": _switching(folder / "site", given.switch_interval),
    }
    options = ("--refresh", "2", "--timeout", str(_TIMEOUT), "--url-ttl", "20", "--memory", "64M")
    url = sandbox.url if cable is None else cable.url

    def mounted(path: Path, *more: str | Path) -> AbstractContextManager[Mounted]:
        return mounted_by_program(path, url, *options, *more, variables=variables)

    return Place(folder, sandbox, Contents(sandbox, given.seed), mounted)


def _encryption(folder: Path) -> ssl.SSLContext:
    encryption = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    encryption.load_cert_chain(folder / "server.pem", folder / "server.key")
    return encryption


def _switching(site: Path, seconds: float) -> str:
    """Where Python finds, as it starts, after how many seconds it is to go on with another thread."""
    site.mkdir()
    (site / "sitecustomize.py").write_text(f"import sys\n\nsys.setswitchinterval({seconds})\n")
    return os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])


def _soak(
    given: argparse.Namespace,
    place: Place,
    mount: Mounted,
    beside: Callable[[Seen], AbstractContextManager[None]],
) -> list[str]:
    """Read with faults, with something else `beside`; what is not as it should be."""
    sandbox, contents = place.sandbox, place.contents
    seen = Seen()
    readers = Readers(mount.path, contents, place.folder_for("copy"), seen)
    seconds = given.minutes * 60
    plan = {"seed": given.seed, "faults": faults(given.faults), "url_expiry_s": 30}
    sandbox.plan(**plan)
    with readers.reading(_READERS, given.seed), beside(seen):
        time.sleep(seconds * _WARM_UP_SHARE)
    sandbox.plan()
    start = gauges(mount, sandbox)
    _say(f"after the warm-up: {start}")
    sandbox.plan(**plan)
    with readers.reading(_READERS, given.seed + 1), beside(seen):
        time.sleep(seconds * (1 - _WARM_UP_SHARE))
    sandbox.plan()
    end = gauges(mount, sandbox)
    _say(f"in the end:         {end}")
    failed = [*seen.wrong[:20], *(f"{name}: not back at the start" for name in end.grown_since(start))]
    if seen.longest > _STALL_MAX:
        failed.append(f"a read took {seen.longest:.1f} s")
    if seen.longest_end > _END_MAX:
        failed.append(f"a killed program took {seen.longest_end:.1f} s to end")
    wait_until(lambda: _reads_all(mount, contents), "that all reads well once all is well", 120)
    report = sandbox.requests()
    injected = ", ".join(f"{kind} {count}" for kind, count in sorted(report["faults_by_action"].items()))
    _say(f"requests: {report['object']} for objects, {report['get']} to sign, {report['list']} pages")
    _say(f"faults: {report['faults']} ({injected})")
    _say(f"done: {', '.join(f'{work} {count}' for work, count in seen.work.items())}")
    _say(f"reads: {seen.reads}, {seen.bytes / 10**9:.2f} GB; the longest {seen.longest:.1f} s")
    _say(f"killed programs: the last to end took {seen.longest_end:.1f} s")
    _say(f"errors: {dict(seen.errors)}")
    _say(f"wrong: {len(seen.wrong)}")
    return failed


def _reads_all(mount: Mounted, contents: Contents) -> bool:
    try:
        return all((mount / name).read_bytes() == contents.versions(name)[-1] for name in contents.names)
    except OSError:
        return False


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - what a soak is run for


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/soak",
        description="Has 16 readers, rsync and programs that are killed read a sandbox project that is "
        "replaced meanwhile and whose servers misbehave. Fails if any byte is wrong, if a read takes longer "
        "than its deadline, or if memory, threads, descriptors and requests do not return to their start. "
        "Does the same from a disk cache, while a second mount of that comes and goes. Then has a project "
        "change at random, and compares all that its mount shows with a model; and compares what every call "
        "comes to with ext4 that is mounted read-only.",
    )
    parser.add_argument(
        "--minutes", type=float, default=3, help="how long to read, and again to compare (default: 3)"
    )
    parser.add_argument(
        "--only", action="append", choices=("reading", "cached", "attributes", "calls"), help="no other part"
    )
    parser.add_argument("--faults", type=float, default=0.1, help="share of requests (default: 0.1)")
    parser.add_argument("--tls", action="store_true", help="have the servers speak TLS")
    parser.add_argument(
        "--switch-interval",
        type=float,
        default=sys.getswitchinterval(),
        metavar="SECONDS",
        help="after which Python goes on with another thread of the mount's (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="of files, faults, reads and changes (default: 1)"
    )
    return parser


if __name__ == "__main__":
    main()
