"""The identity of the bytes that are read: one version of one resource's content."""

import threading
from collections.abc import Callable

from empirical_fs.api.resource import Resource
from empirical_fs.api.store_lag import StoreLag
from empirical_fs.clock import aging_clock
from empirical_fs.errors import BadAnswer, ContentChanged
from empirical_fs.reading.spool_space import SpoolSpace
from empirical_fs.reading.version import Head, Refused, Validators, Version, judge

_BEFORE_MAX = 4


class Content:
    """One version of a resource's bytes; two `Content` objects are two versions, even if they look alike.

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
        """Describe the version that a listing shows, of `size` bytes.

        Args:
            resource: the resource as the listing has it.
            size: bytes, by the listing or as measured.
            before: the version that was read before this one.
            young_until: the time on `clock` by which the store has caught up with the listing.
            clock: returns seconds.
        """
        self.resource_id = resource.id
        self.size = size
        self._updated_ns = resource.updated_ns
        self._listed_size = resource.size
        self._clock = clock
        self._lock = threading.Lock()
        self._before = () if before is None else before.for_next(resource)
        self._replaced = () if before is None else before.replaced_for_next(resource)
        self._lag = StoreLag(young_until)
        self._validators: Validators | None = None
        self._is_length_known = False
        self._has_ranges = False
        self._is_out_of_touch = False
        self._has_met_in_vain = False
        self._over = False
        self._confirmed_at = float("-inf")
        self.spool_space = SpoolSpace()
        """Whether the local disk has room for the whole content; the lock of its `Supply` guards it."""

    @property
    def validators(self) -> Validators | None:
        """The validators of the first answer; None before it."""
        return self._validators

    @property
    def if_match(self) -> str | None:
        """The ETag to send as If-Match; None if there is none that can be sent.

        A server that marks its tags as weak refuses even a matching If-Match (RFC 9110, 13.1.1); the tags in
        its answers still tie them to this version.
        """
        return None if self._validators is None or self._has_met_in_vain else self._validators.if_match

    @property
    def is_tied(self) -> bool:
        """Whether the store's answers have validators that show that they are of the same version."""
        return self._validators is not None and not self._validators.is_none

    @property
    def is_exactly_tied(self) -> bool:
        """Whether the store's answers have a validator that no other version shares."""
        return self._validators is not None and not self._validators.exact.is_none

    @property
    def confirmed_at(self) -> float:
        """When the store last showed that it has this version, on the clock of this content."""
        return self._confirmed_at

    @property
    def is_confirmed(self) -> bool:
        """Whether the store has shown that it has this version; not so as long as only the disk has."""
        return self._confirmed_at > float("-inf")

    @property
    def is_without_validators(self) -> bool:
        """Whether only its length distinguishes it from another version."""
        return self._validators is not None and self._validators.is_none

    @property
    def is_over(self) -> bool:
        """Whether the store has shown that this version no longer exists."""
        return self._over

    @property
    def is_length_known(self) -> bool:
        """Whether the store has said how long the object is."""
        return self._is_length_known

    @property
    def has_settled(self) -> bool:
        """Whether the store has answered for it, and can no longer lag behind the listing."""
        return self._validators is not None and self._lag.is_over

    @property
    def updated_ns(self) -> int:
        """The date by which the listing describes it, in nanoseconds since the epoch."""
        return self._updated_ns

    @property
    def is_young(self) -> bool:
        """Whether the store may still lag behind the listing."""
        return self._lag.young_until > self._clock()

    @property
    def is_identified(self) -> bool:
        """Whether bytes of this version, kept somewhere, can be told from those of others for ever.

        By a strong ETag; or, once the store cannot lag behind, by what the listing says. If the store sends
        no validators at all, nothing would show that an object was replaced under an unchanged listing.
        """
        validators = self._validators
        if validators is None or validators.is_none:
            return False
        return validators.if_match is not None or self.has_settled

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
        """Whether `resource`, as a listing has it, is this version; None if the listing no longer has it."""
        if resource is None or resource.updated_ns != self._updated_ns:
            return False
        # A size that the API does not know (it may send 0 then) does not mean another version.
        return resource.size in (None, 0, self._listed_size)

    def for_next(self, resource: Resource) -> tuple[Validators, ...]:
        """Validators by which the next content, listed as `resource`, recognises old objects; newest first.

        There may be several for one version of the listing: a replica of the store that lags behind may send
        the object of the previous version after another replica has sent the new one.
        """
        if self._validators is None:
            return ()
        if self.is_described_by(resource):
            return (self._validators, *self._before)[:_BEFORE_MAX]
        # A store that lagged behind when this version was read may still lag, now by one version more.
        return (self._validators,) if self.has_settled else ()

    def replaced_for_next(self, resource: Resource) -> tuple[Validators, ...]:
        """Validators of versions that the store no longer has, though the listing shows no other.

        The next content, listed as `resource`, must not take bytes on disk of such a version for its own.
        """
        if not (self._over and self.is_described_by(resource)):
            return ()
        own = () if self._validators is None else (self._validators,)
        return (*own, *self._replaced)[:_BEFORE_MAX]

    def end(self) -> None:
        """Note that this version no longer exists."""
        with self._lock:
            self._over = True

    def relisted(self, resource: Resource | None) -> None:
        """Note that the listing now has `resource`; None if it no longer has it.

        A content without exact validators is over if `resource` is another version: nothing could tell an
        answer for one version from an answer for the other.
        """
        with self._lock:
            is_tied = self._validators is None or not self._validators.exact.is_none
            self._over = self._over or not (is_tied or self.is_described_by(resource))

    def redated(self, resource: Resource, young_until: float) -> None:
        """Note that `resource`, as the listing now has it, is this version with another date.

        The store has just shown that it still has it; until `young_until` it may lag behind the listing.
        """
        with self._lock:
            self._updated_ns, self._listed_size = resource.updated_ns, resource.size
            self._lag = StoreLag(young_until)
            self._lag.answered(self._clock(), is_another=False)

    def check(self, head: Head, *, is_listed: bool) -> None:
        """Return if an answer with this head may be of this version, as far as can be told now.

        Raises:
            ContentChanged: the version is over (see `judge`).
            BadAnswer: the answer cannot be used (see `judge`).
        """
        with self._lock:
            self._judge(head, is_listed=is_listed)

    def tie(self, head: Head, *, is_listed: bool) -> None:
        """Accept an answer with this head as one of this version; the first one sets the validators.

        Raises:
            As `check`.
        """
        with self._lock:
            self._judge(head, is_listed=is_listed)
            if self._validators is None:
                self._validators = head.validators
                self._lag.answered(self._clock(), is_another=self._is_new(head.validators))
            self._is_length_known = self._is_length_known or head.total is not None
            self._has_ranges = self._has_ranges or head.brings_range
            self._is_out_of_touch = False
            self._confirmed_at = self._clock()

    def recall(self, validators: Validators) -> bool:
        """Take the validators that this version had when its bytes were kept; False if it has others.

        From now on an answer of the store must have them, too.
        """
        with self._lock:
            if self._validators is not None or self._over or any(map(validators.fit, self._replaced)):
                return False
            self._validators = validators
            self._lag.answered(self._clock(), is_another=False)
            self._is_length_known = True
            return True

    def _judge(self, head: Head, *, is_listed: bool) -> None:
        """Call `judge`, and note what its outcome shows. The lock is held."""
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
        """Whether `found` belongs to an object that the store did not have before the listing changed."""
        known = [each for each in self._before if not each.is_none]
        if known:
            return all(each.differ_from(found) for each in known)
        return found.are_since(self._updated_ns)

    def know_length(self) -> None:
        """Note that the object has no byte beyond the size in the listing."""
        self._is_length_known = True

    @property
    def is_put_off(self) -> bool:
        """Whether the store is being asked about it now, or did not answer a moment ago."""
        return self._lag.is_put_off(self._clock())

    def put_off_asking(self) -> None:
        """Do not ask the store about it again for a moment."""
        with self._lock:
            self._lag.put_off(self._clock())

    def is_to_be_asked(self, listed_at: float) -> bool:
        """Whether to ask the store about it again, after a listing that was fetched at `listed_at`."""
        with self._lock:
            return self.is_tied and self._lag.is_to_be_asked(listed_at, self._clock())

    def asked(self) -> None:
        """Note that the store still has this version."""
        with self._lock:
            self._lag.answered(self._clock(), is_another=False)
