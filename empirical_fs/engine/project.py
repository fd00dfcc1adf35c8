"""The files of a project for callers that wait: finds them, and opens them for reading."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from hashlib import sha256

from empirical_fs.api.resource import Resource
from empirical_fs.catalog.refresh import Reload
from empirical_fs.catalog.snapshot import Entry, Snapshot
from empirical_fs.clock import aging_clock
from empirical_fs.engine.engine import Engine
from empirical_fs.engine.gathering import Limits
from empirical_fs.engine.handed_listing import HandedListing, handed, taken
from empirical_fs.engine.identity import origin_of, owner_of
from empirical_fs.errors import EmpiricalError, NoSuchFile, NoThread
from empirical_fs.reading.handle import FIRST_LOOK, Handle, nothing
from empirical_fs.reading.read_ahead import Policy
from empirical_fs.settings.settings import ProjectSettings
from empirical_fs.work.progress import unseen

_LISTING_SECONDS = 10.0
"""How long a caller waits for a listing that is due. After that, it gets the last one."""
_RENEW_TRIES = 2
"""A refresh that is under way may have begun before the listing was old enough."""
_SETTLE_SECONDS, _SETTLE_TRIES = 1.0, 2
_SIZE_SECONDS = 10.0
_ASKED_SECONDS = 2.0
_NO_RESOURCE = -1
_SHARE_OF_MEMORY = 4
"""The ranges that one caller reads at once may take the memory divided by this."""

log = logging.getLogger(__name__)


class Project:
    """One project that is open. Its parts are thread-safe, and no lock of its own is needed."""

    def __init__(self, settings: ProjectSettings, handed: HandedListing | None = None) -> None:
        """Start the threads, and fetch the listing, unless one was handed over that can be used.

        Raises:
            ApiError: the listing could not be fetched.
            SetupError: the settings cannot be used on this machine.
            NoThread: the system has no thread.
        """
        self.engine = Engine(settings, closing=threading.Event())
        try:
            # No kernel reads ahead of the programs, or splits their reads.
            self.engine.readers.kernel_window = FIRST_LOOK
            listing = None if handed is None else taken(handed, settings)
            if listing is None:
                self.engine.load(unseen, log.warning)
            else:
                self.engine.take_over(listing)
                self.engine.start_cache()
            self.engine.timer.start()
            self.engine.settle()
        except BaseException:
            self.engine.close()
            raise
        self._catalog = self.engine.catalog
        self._timeout = settings.timeout
        self._reload: Reload | None = None
        self._handed: tuple[float, HandedListing | None] | None = None

    @property
    def latest(self) -> Snapshot:
        """The last listing."""
        return self._catalog.latest

    @property
    def identity(self) -> tuple[str, str]:
        """The API, and the project there; the key's owner where the API does not name the project."""
        resources = self._catalog.latest.resources.values()
        project_id = next((each.project_id for each in resources if each.project_id), None)
        settings = self.engine.settings
        return origin_of(settings.api_url), project_id or owner_of(settings.key)

    def handed(self) -> HandedListing | None:
        """Our listing for another process; None if it is too large, or was itself handed over."""
        asked_at = self._catalog.asked_at
        if self._handed is None or self._handed[0] != asked_at:
            listing = self._catalog.to_keep()
            made = None if listing is None else handed(listing, self.engine.settings)
            self._handed = asked_at, made
        return self._handed[1]

    def take_over(self, handed: HandedListing) -> None:
        """Read by a listing that another process has fetched, unless ours is as new, or it is of no use."""
        listing = taken(handed, self.engine.settings)
        if listing is not None:
            self.engine.take_over(listing)

    def limits(self, at_once: int) -> Limits:
        """How to read several ranges at once."""
        statistics = self.engine.statistics
        return Limits(
            at_once,
            self.engine.settings.memory // _SHARE_OF_MEMORY,
            self._timeout,
            lambda: statistics.counts().bytes_fetched,
        )

    def forget(self) -> None:
        """Have the listing fetched again; whoever looks at it next waits for that."""
        try:
            self._reload = self._catalog.reload()
        except NoThread as error:
            log.warning("the listing is not fetched again: %s", error)

    def snapshot(self) -> Snapshot:
        """The listing, after a wait for a new one if it is old; without one, the last listing."""
        reload, self._reload = self._reload, None
        patience = min(self._timeout, _LISTING_SECONDS)
        if reload is not None:
            done = threading.Event()
            reload.outcome.add_done_callback(lambda _: done.set())
            done.wait(patience)
        elif not self._catalog.failure:
            self._renew(patience)
        return self._catalog.snapshot()

    def find(self, name: str) -> Entry:
        """The entry of a name, by a listing that is not old, with its size as far as that can be found.

        Raises:
            NoSuchFile: there is no such file.
        """
        self.snapshot()
        return self.sized(self._catalog.lookup(name))

    def sized(self, entry: Entry) -> Entry:
        """The entry with its size, after a wait for it if the API did not give it and the store is asked."""
        return self.all_sized([entry])[0]

    def all_sized(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """The entries with their sizes, after one wait for those that the store is asked for."""
        if all(each.is_sized for each in entries):
            return entries
        until = time.monotonic() + min(self._timeout, _SIZE_SECONDS)
        for each in entries:
            if not each.is_sized:
                left = max(until - time.monotonic(), 0)
                self._wait_for(partial(self._catalog.when_sized, each), left)
        return [self._catalog.current(each) or each for each in entries]

    def to_open(self, name: str) -> Entry:
        """The entry of a name, for somebody who opens the file: checked with the store where that is due.

        Raises:
            NoSuchFile: there is no such file.
            EmpiricalError: its size cannot be found.
        """
        entry = self._settled(self.sized(self._known(name)))
        self.engine.walks.end_lost(entry.resource)
        if self._catalog.is_to_be_measured(entry.resource):
            self._catalog.measure(entry.resource)
            entry = self._catalog.current(entry) or entry
        self._ask_again(entry.resource)
        return self._catalog.current(entry) or entry

    def handle(self, resource: Resource, policy: Policy | None = None) -> Handle:
        """Open a handle that reads ahead as `policy` says; None for what suits a program that reads files.

        Raises:
            BadAnswer: the size of the resource is not known.
        """
        if policy is None:
            handle = self.engine.walks.open(resource)
        else:
            handle = self.engine.readers.open(resource, nothing)
            handle.plan_by(policy)
        handle.trust_reads()
        return handle

    def distrust(self, resource: Resource) -> None:
        """Note that the store disagrees with the listing about a resource, and wait for a new listing."""
        self._catalog.distrust(resource)
        self._settle(resource)

    def current(self, entry: Entry) -> Entry:
        """The current entry of the same resource.

        Raises:
            NoSuchFile: it is no longer listed.
        """
        now = self._catalog.current(entry)
        if now is None:
            raise NoSuchFile(entry.name)
        return now

    def _renew(self, seconds: float) -> None:
        """Wait for a listing that is not old by now, for so many seconds at most."""
        since, until = aging_clock() - self.engine.settings.refresh, time.monotonic() + seconds
        for _ in range(_RENEW_TRIES):
            if self._catalog.asked_at >= since or self._catalog.failure:
                return
            self._catalog.expire()
            left = max(until - time.monotonic(), 0)
            self._wait_for(lambda call: self._catalog.when_settled(_NO_RESOURCE, call), left)

    def _known(self, name: str) -> Entry:
        """The entry of a name by the last listing, also if that is old, unless it has no such name."""
        if self._reload is None:
            with suppress(NoSuchFile):
                return self._catalog.lookup(name)
        self.snapshot()
        return self._catalog.lookup(name)

    def _settled(self, entry: Entry) -> Entry:
        """The entry, after a wait for a listing that the store agrees with, if it does not."""
        for _ in range(_SETTLE_TRIES):
            if not self._catalog.is_in_doubt(entry.resource.id):
                break
            self._settle(entry.resource)
            entry = self._catalog.lookup(entry.name)
        return entry

    def _settle(self, resource: Resource) -> None:
        """Wait for a listing that the store may agree with."""
        self._wait_for(lambda call: self._catalog.when_settled(resource.id, call), _SETTLE_SECONDS)

    def _ask_again(self, resource: Resource) -> None:
        """Ask the store whether it still has the version that it had before the listing, if it may not."""
        content = self.engine.walks.latest(resource)
        if content is None or not resource.size or self.engine.store.lost():
            return
        if content.is_to_be_asked(self._catalog.asked_at):
            self._wait_for(lambda call: self.engine.walks.ask_again(content, call), _ASKED_SECONDS)

    def _wait_for(self, ask: Callable[[Callable[[], object]], object], seconds: float) -> None:
        """Call `ask` with a function that ends the wait, and wait."""
        done = threading.Event()
        try:
            ask(done.set)
        except EmpiricalError as error:
            log.debug("nobody can be asked: %s", error)
            return
        done.wait(seconds)


def version_of(entry: Entry) -> str:
    """What tells this version of a file from its others: 64 hex digits.

    It also changes when the API says another date, as after an edit of the description: every process must
    get the same, and whether the content is another one is known only to those that have asked the store.
    """
    resource = entry.resource
    said = (resource.id, resource.updated_ns, entry.size, resource.link)
    return sha256(repr(said).encode(errors="surrogatepass")).hexdigest()
