"""The identity of what is read: one version of the bytes of one resource."""

import threading
from collections.abc import Callable

from empirical_fs.api.resource import Resource
from empirical_fs.api.settling import Settling
from empirical_fs.clock import aging_clock
from empirical_fs.errors import BadAnswer, ContentChanged
from empirical_fs.reading.room import Room
from empirical_fs.reading.version import Head, Refused, Validators, Version, judge

_BEFORE_MAX = 4


class Content:
    """One version of a resource's bytes; two objects are two versions, whatever they have in common.

    The lock guards the validators, whether the version is known to be over, and whether it has settled.
    """

    def __init__(
        self,
        resource: Resource,
        size: int,
        *,
        before: "Content | None" = None,
        young_until: float = float("-inf"),
        clock: Callable[[], float] = aging_clock,
    ) -> None:
        """The version that a listing describes, of `size` bytes.

        Args:
            resource: what the listing has.
            size: bytes, by the listing or as they were measured.
            before: the version that was read before this one.
            young_until: when the store has caught up with the listing, on `clock`.
            clock: tells seconds.
        """
        self.resource_id = resource.id
        self.size = size
        self._updated_ns = resource.updated_ns
        self._listed_size = resource.size
        self._clock = clock
        self._lock = threading.Lock()
        self._before = () if before is None else before.for_next(resource)
        self._settling = Settling(young_until)
        self._validators: Validators | None = None
        self._is_length_known = False
        self._has_ranges = False
        self._is_out_of_touch = False
        self._has_met_in_vain = False
        self._over = False
        self._confirmed_at = float("-inf")
        self.room = Room()
        """Whether there is room on the local disk, if that was needed; its reader's lock guards it."""

    @property
    def validators(self) -> Validators | None:
        """The validators of the first answer; None before it."""
        return self._validators

    @property
    def if_match(self) -> str | None:
        """The ETag that a request is to demand; None if there is none that can be demanded.

        A server that marks its tags as weak refuses what it has (RFC 9110, 13.1.1); the tags that its answers
        come with tie them all the same.
        """
        return None if self._validators is None or self._has_met_in_vain else self._validators.if_match

    @property
    def is_tied(self) -> bool:
        """Whether its answers have validators that tie them to each other."""
        return self._validators is not None and not self._validators.is_none

    @property
    def is_exactly_tied(self) -> bool:
        """Whether its answers have a validator that no other version shares."""
        return self._validators is not None and not self._validators.exact.is_none

    @property
    def confirmed_at(self) -> float:
        """When the store showed last that it has this version, on the clock of this content."""
        return self._confirmed_at

    @property
    def is_without_validators(self) -> bool:
        """Whether nothing but its length tells it from another version."""
        return self._validators is not None and self._validators.is_none

    @property
    def is_over(self) -> bool:
        """Whether the store has shown that this version is no longer there."""
        return self._over

    @property
    def is_length_known(self) -> bool:
        """Whether the store has said how long the object is."""
        return self._is_length_known

    @property
    def has_settled(self) -> bool:
        """Whether the store has answered for it, and can lag behind the listing no more."""
        return self._validators is not None and self._settling.is_over

    @property
    def is_out_of_touch(self) -> bool:
        """Whether the store's last answer, a range of the object, could not be tied to this version."""
        return self._is_out_of_touch

    def is_as_listed(self, resource: Resource | None) -> bool:
        """Whether `resource` describes this version and the store has not shown otherwise."""
        return (
            resource is not None
            and self._listed_size == resource.size
            and not self._over
            and self.is_described_by(resource)
        )

    def is_described_by(self, resource: Resource | None) -> bool:
        """Whether `resource`, which a listing has, is this version; None is one that it has no more."""
        if resource is None or resource.updated_ns != self._updated_ns:
            return False
        # A size that the API does not know, for which it may say 0, makes no other version.
        return resource.size in (None, 0, self._listed_size)

    def for_next(self, resource: Resource) -> tuple[Validators, ...]:
        """By what the content after this one, as `resource`, is told to be another object; the newest first.

        Of one version by the listing there may be several: a replica of the store that is behind gives the
        object of the version before to whoever has seen the new one.
        """
        if self._validators is None:
            return ()
        if self.is_described_by(resource):
            return (self._validators, *self._before)[:_BEFORE_MAX]
        # A store that was behind the listing before this one may be behind still, by one version more.
        return (self._validators,) if self.has_settled else ()

    def end(self) -> None:
        """Note that this version is no longer there."""
        with self._lock:
            self._over = True

    def relisted(self, resource: Resource | None) -> None:
        """Take note that the listing has `resource` now; None if it has it no more.

        What nothing ties to this version is from then on of another one.
        """
        with self._lock:
            is_tied = self._validators is None or not self._validators.exact.is_none
            self._over = self._over or not (is_tied or self.is_described_by(resource))

    def redated(self, resource: Resource, young_until: float) -> None:
        """Take note that `resource`, as the listing has it now, is this version under another date.

        The store has just shown that it still has it; until `young_until` it may be behind the listing.
        """
        with self._lock:
            self._updated_ns, self._listed_size = resource.updated_ns, resource.size
            self._settling = Settling(young_until)
            self._settling.answered(self._clock(), is_another=False)

    def check(self, head: Head, *, is_listed: bool) -> None:
        """See whether an answer with this head may be of this version, as far as that can be told by now.

        Raises:
            ContentChanged: the version is over, as `judge` says.
            BadAnswer: the answer is of no use, as `judge` says.
        """
        with self._lock:
            self._judge(head, is_listed=is_listed)

    def tie(self, head: Head, *, is_listed: bool) -> None:
        """Take an answer with this head for one of this version; the first one gives the validators.

        Raises:
            As `check`.
        """
        with self._lock:
            self._judge(head, is_listed=is_listed)
            if self._validators is None:
                self._validators = head.validators
                self._settling.answered(self._clock(), is_another=self._is_new(head.validators))
            self._is_length_known = self._is_length_known or head.total is not None
            self._has_ranges = self._has_ranges or head.brings_range
            self._is_out_of_touch = False
            self._confirmed_at = self._clock()

    def _judge(self, head: Head, *, is_listed: bool) -> None:
        """The lock is held."""
        if self._over:
            raise ContentChanged("the object changed while others read it")
        try:
            judge(Version(self.size, self._validators, is_listed, self._has_ranges), head)
        except ContentChanged:
            self._over = True
            raise
        except BadAnswer:
            self._is_out_of_touch = head.brings_range
            self._has_met_in_vain = self._has_met_in_vain or head.brings is Refused.CONDITION
            raise

    def _is_new(self, found: Validators) -> bool:
        """Whether these are of an object that the store had not before the listing changed."""
        known = [each for each in self._before if not each.is_none]
        if known:
            return all(each.differ_from(found) for each in known)
        return found.are_since(self._updated_ns)

    def know_length(self) -> None:
        """Note that the store has nothing behind the last byte that the listing counts."""
        self._is_length_known = True

    @property
    def is_put_off(self) -> bool:
        """Whether the store is being asked for it, or did not answer a moment ago."""
        return self._settling.is_put_off(self._clock())

    def put_off_asking(self) -> None:
        """Do not have the store asked for it again just now."""
        with self._lock:
            self._settling.put_off(self._clock())

    def is_to_be_asked(self, listed_at: float) -> bool:
        """Whether to ask the store for it once more, now that a listing was fetched at `listed_at`."""
        with self._lock:
            return self.is_tied and self._settling.is_to_be_asked(listed_at, self._clock())

    def asked(self) -> None:
        """Note that the store still has this version."""
        with self._lock:
            self._settling.answered(self._clock(), is_another=False)
