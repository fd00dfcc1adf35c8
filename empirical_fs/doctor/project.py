"""Runs all checks, which change nothing; those of the key, the API and the store use the code of a mount."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from empirical_fs.api.client import Api
from empirical_fs.api.resource import Resource
from empirical_fs.api.signed_urls import SignedUrls
from empirical_fs.cancellation import Cancellation
from empirical_fs.doctor import diagnoses, machine
from empirical_fs.doctor.attempts import attempt
from empirical_fs.doctor.diagnoses import (
    API,
    CLOCK,
    KEY,
    PASSTHROUGH,
    PATIENCE_MAX,
    STORE,
    Answered,
    Finding,
    Verdict,
)
from empirical_fs.doctor.living import Living, examine_by, living, passthrough_of
from empirical_fs.errors import EmpiricalError, SetupError
from empirical_fs.mount.security_modules import surroundings
from empirical_fs.net.certificates import create_context
from empirical_fs.net.client import Common
from empirical_fs.net.urls import parse_given
from empirical_fs.privacy import KEY_VARIABLE
from empirical_fs.reading.content import Content
from empirical_fs.reading.fetch.object_store import Store
from empirical_fs.reading.fetch.range_request import Ranges, WholeInstead
from empirical_fs.server import Server
from empirical_fs.settings.caching import cache_settings
from empirical_fs.settings.configuration import Configuration
from empirical_fs.settings.key import take_key
from empirical_fs.settings.mount_options import parse_mount_options
from empirical_fs.settings.settings import parse_api_url
from empirical_fs.settings.values import API_URL_VARIABLE, DEFAULT
from empirical_fs.statistics import Statistics
from empirical_fs.work.waits import drive

_FETCHING_SHARE = 0.9
"""The part of a check's time that its requests may take: so they fail first, with a better message than that
the check took too long."""
_CONFIGURATION = "configuration"
"""No cache is in there."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The settings of the mount that is to be checked."""

    sources: Mapping[str, Mapping[str, str]]
    key_file: Path | None
    key_origin: str
    api_url: httpx.URL
    api_url_from: str
    url_ttl: float
    timeout: float
    options: Mapping[str, str | bool]
    nonempty: bool
    cache: Path | None
    """The folder of the cache on disk; None if that is off."""


@dataclass(frozen=True, slots=True)
class _Service:
    """The clients of the API and the store."""

    urls: SignedUrls
    ranges: Ranges
    patience: float
    """Seconds that each request may take."""
    listed: dict[int, Resource]
    """The resources to read, by id."""


class _OneByte:
    """A sink for one byte, which is thrown away."""

    def __init__(self) -> None:
        self.cancellation = Cancellation()
        self._room = bytearray(1)

    def room(self) -> memoryview:
        return memoryview(self._room)

    def advance(self, count: int) -> None:
        """Do nothing: the check needs only that a byte arrives."""

    def has_kept(self, at: int, again: memoryview) -> bool:
        """Accept everything: a byte that came once has no earlier copy to compare with."""
        return True


def examine(
    configure: Callable[[], Configuration],
    variable: str | None,
    place: Callable[[], Path] | None,
    etc: Path = machine.ETC,
) -> Iterator[Finding]:
    """Run the checks, and yield each finding as soon as it is known.

    Each check takes at most ten seconds, or the `timeout` of the configuration if that is less.

    Args:
        configure: returns the settings that the user asked for; may raise SetupError.
        variable: the key from the environment, if it was there.
        place: returns the mount point, if that is to be checked too; may raise SetupError.
        etc: the directory of the system's configuration.
    """
    wanted = attempt(lambda: _wanted(configure()), PATIENCE_MAX)
    patience = PATIENCE_MAX if isinstance(wanted, EmpiricalError) else min(wanted.timeout, PATIENCE_MAX)
    options = {} if isinstance(wanted, EmpiricalError) else wanted.options

    def check(name: str, look: Callable[[], Finding], advice: str) -> Finding:
        found = attempt(look, patience)
        return diagnoses.of_error(name, found, advice) if isinstance(found, EmpiricalError) else found

    yield check("libfuse", machine.libfuse, "install libfuse 2")
    yield check("fusermount", machine.fusermount, "install it again")
    yield check("/dev/fuse", machine.device, "sudo chmod 666 /dev/fuse")
    yield check("user_allow_other", lambda: machine.others(etc, options), "look at /etc/fuse.conf")
    yield check("mount_max", lambda: machine.how_many(etc), "look at /etc/fuse.conf")
    yield check(
        "confinement",
        lambda: diagnoses.of_confinement(None if place is None else place(), surroundings()),
        "look at AppArmor and SELinux",
    )
    yield check("/etc/mtab", lambda: machine.table_of_mounts(etc), "look at /etc/mtab")
    if not isinstance(wanted, EmpiricalError):
        timeout = wanted.timeout
        yield check("request timeout", lambda: machine.request_timeout(timeout), "look at /proc/sys/fs/fuse")
    if isinstance(wanted, EmpiricalError):
        yield diagnoses.of_error(_CONFIGURATION, wanted, "correct it, or leave it out")
        yield from diagnoses.skipped((KEY, API, CLOCK, STORE), _CONFIGURATION)
    else:
        mount = None if place is None else _living(place, patience)
        cache, is_direct = wanted.cache, "direct_io" in wanted.options
        yield passthrough_of(mount) or check(
            PASSTHROUGH,
            lambda: machine.passthrough(cache, is_direct=is_direct),
            "install libfuse 3.17",
        )
        if mount is not None and (_has_no_key(wanted, variable) or _is_elsewhere(wanted, mount)):
            yield diagnoses.ok(_CONFIGURATION, f"that of the mount: {mount.sources}")
            yield from examine_by(mount, patience)
        else:
            yield diagnoses.ok(_CONFIGURATION, _sources(wanted))
            yield from _project(wanted, variable, patience)
    yield check("updatedb", lambda: machine.updatedb(etc), "look at /etc/updatedb.conf")
    yield check("stale mounts", machine.stale_mounts, "look at /proc/self/mounts")
    if place is not None:
        is_nonempty = not isinstance(wanted, EmpiricalError) and wanted.nonempty
        yield check(
            "mount point",
            lambda: machine.mount_point(place(), nonempty=is_nonempty),
            "choose another directory",
        )


def _wanted(found: Configuration) -> _Wanted:
    options, cache = parse_mount_options(found.mount_options), cache_settings(found, None)
    return _Wanted(
        sources=found.shown,
        key_file=found["key_file"],
        key_origin=found.key_origin,
        api_url=parse_api_url(found["api_url"], found.api_url_from),
        api_url_from=found.api_url_from,
        url_ttl=found["url_ttl"],
        timeout=found["timeout"],
        options=options.fuse,
        nonempty=options.nonempty,
        cache=None if cache is None else cache.folder,
    )


def _sources(wanted: _Wanted) -> str:
    given = {name: each["source"] for name, each in wanted.sources.items()}
    return diagnoses.sources({name: source for name, source in given.items() if source != DEFAULT})


def _living(place: Callable[[], Path], patience: float) -> Living | None:
    """The mount that is at `place` already, if it answers within `patience` seconds."""
    found = attempt(lambda: living(place()), patience)
    return None if isinstance(found, EmpiricalError) else found


def _has_no_key(wanted: _Wanted, variable: str | None) -> bool:
    return wanted.key_file is None and not variable


def _is_elsewhere(wanted: _Wanted, mount: Living) -> bool:
    """Whether the mount uses another API than this shell, whose API no option or configuration file names."""
    is_said = wanted.sources["api_url"]["source"] not in (DEFAULT, API_URL_VARIABLE)
    return not is_said and mount.api_url != str(wanted.api_url)


def _project(wanted: _Wanted, variable: str | None, patience: float) -> Iterator[Finding]:
    """The findings on the key, and on the API, the clock and the store, which need the key."""
    source = wanted.sources["key_file"]["source"]
    key = attempt(lambda: take_key(wanted.key_file, variable, source), patience)
    if isinstance(key, EmpiricalError):
        yield diagnoses.of_error(KEY, key, f"set {KEY_VARIABLE}, or give --key-file FILE")
        yield from diagnoses.skipped((API, CLOCK, STORE), KEY)
        return
    closing, limit = threading.Event(), patience * _FETCHING_SHARE
    try:
        common = Common(create_context(), closing, limit)
        api = Api(wanted.api_url, key, common)
        store = Store(wanted.api_url, common, lambda: api.is_here)
    except SetupError as error:
        yield from diagnoses.skipped([KEY], API)
        yield diagnoses.of_error(API, error, "check the environment")
        yield from diagnoses.skipped((CLOCK, STORE), API)
        return
    urls = SignedUrls(api, wanted.url_ttl, limit, Statistics())
    listed: dict[int, Resource] = {}
    service = _Service(urls, Ranges(store, urls, listed.get, limit, closing), limit, listed)
    try:
        answered = attempt(lambda: _first_page(service), patience)
        yield diagnoses.of_key(wanted.key_origin, answered)
        yield diagnoses.of_api(str(wanted.api_url), answered, wanted.api_url_from)
        yield diagnoses.of_clock(answered)
        yield _of_store(wanted, service, answered, patience)
    finally:
        closing.set()
        store.close()
        api.close()


def _first_page(service: _Service) -> Answered:
    asked_at, begun = time.time(), time.monotonic()
    page = service.urls.page(1, service.patience, {})
    return Answered(page, asked_at, time.time(), time.monotonic() - begun)


def _of_store(
    wanted: _Wanted, service: _Service, answered: Answered | EmpiricalError, patience: float
) -> Finding:
    """The finding on the store: fetch a byte of the first resource on the first page that has any bytes."""
    if isinstance(answered, EmpiricalError):
        return next(iter(diagnoses.skipped([STORE], f"{KEY} and the {API}")))
    urls = answered.page.urls
    resource = next((each for each in answered.page.resources if each.id in urls and each.size != 0), None)
    if resource is None:
        return Finding(STORE, Verdict.SKIPPED, "no upload with bytes in it on the first page")
    try:
        host = Server.of(parse_given(urls[resource.id], wanted.api_url)).host
    except EmpiricalError as error:
        return diagnoses.of_store("the store", error)
    service.listed[resource.id] = resource
    return diagnoses.of_store(host, attempt(lambda: _first_byte(service.ranges, resource), patience))


def _first_byte(ranges: Ranges, resource: Resource) -> str:
    """Fetch the first byte of `resource`; returns a description of what came."""
    begun = time.monotonic()
    size = ranges.measure(resource)[0] if resource.size is None else resource.size
    fetched = drive(ranges.fetch(Content(resource, size), 0, min(size, 1), _OneByte()))
    took = f"in {time.monotonic() - begun:.2f} s"
    if isinstance(fetched, WholeInstead):
        fetched.body.close()
        return f"resource {resource.id} {took}, as a whole: the server ignores ranges"
    return f"{min(size, 1)} byte of resource {resource.id} {took}"
