"""Which failures are tried again, how long is waited before, and when it ends."""

import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from empirical_fs.clock import Deadline
from empirical_fs.errors import ApiUnavailable, DeadlinePassed, StoreUnavailable, UrlRefused
from empirical_fs.net.retry import Tries, is_busy, retry_after
from empirical_fs.server import Server

Kind = type[ApiUnavailable] | type[StoreUnavailable]


class Work:
    """Work that fails with one error after the other, then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.tries = 0
        self.given_up: list[Server] = []

    def do(
        self, kind: Kind = StoreUnavailable, seconds: float = 10, closing: threading.Event | None = None
    ) -> str:
        tries = Tries(Deadline.after(seconds), closing or threading.Event(), self.give_up)
        while True:
            self.tries += 1
            if not self.errors:
                return "done"
            try:
                raise self.errors.pop(0)
            except (kind, DeadlinePassed) as error:
                tries.wait(error)

    def give_up(self, server: Server, since: float) -> None:
        assert time.monotonic() - 60 < since <= time.monotonic()
        self.given_up.append(server)


@given(st.integers(100, 999))
def test_busy_statuses(status: int) -> None:
    """408, 425, 429 and the server's own errors are worth asking again, and nothing else."""
    assert is_busy(status) == (status in (408, 425, 429) or status >= 500)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("5", 5), (" 120 ", 120), ("00", 0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0)],
)
def test_retry_after_that_says_something(text: str, seconds: float) -> None:
    """Seconds are seconds, and a date that has passed is no wait."""
    assert retry_after({"retry-after": text}) == seconds


@pytest.mark.parametrize("zone", ["GMT", "-0000", "+0000"])
def test_retry_after_a_date(zone: str) -> None:
    """A date is the time until then, in UTC, whatever the time zone here."""
    then = datetime.now(UTC) + timedelta(seconds=100)
    text = format_datetime(then, usegmt=True).replace("GMT", zone)
    assert retry_after({"retry-after": text}) == pytest.approx(100, abs=2)


@pytest.mark.parametrize("ahead", [-86400, -600, 0, 600])
def test_a_date_is_measured_by_the_clock_of_the_server(ahead: float) -> None:
    """What the server asks for does not depend on whether its clock, or ours, is right."""
    now = datetime.now(UTC) + timedelta(seconds=ahead)
    headers = {
        "date": format_datetime(now, usegmt=True),
        "retry-after": format_datetime(now + timedelta(seconds=2), usegmt=True),
    }
    assert retry_after(headers) == 2


@pytest.mark.parametrize("date", ["", "soon", "Thu, 32 Jan 1970 00:00:00 GMT"])
def test_a_date_beside_one_that_says_nothing(date: str) -> None:
    """Where the server does not tell its time, ours has to do."""
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert retry_after({"date": date, "retry-after": then}) == pytest.approx(100, abs=5)


@pytest.mark.parametrize(
    "text", ["", "soon", "-5", "1.5", "\u0665", "5, 6", "Thu, 32 Jan 1970 00:00:00 GMT", "\x00"]
)
def test_retry_after_that_says_nothing(text: str) -> None:
    """What is neither a number nor a date asks for nothing."""
    assert retry_after({"retry-after": text}) is None


def test_no_retry_after() -> None:
    """Without the header nothing is asked for."""
    assert retry_after({}) is None


@given(
    st.text()
    | st.from_regex(
        r"(Thu, )?[0-9]{1,25} (Jan|Feb|X) [0-9]{1,25} [0-9:]{0,12} (GMT|[+-][0-9]{1,25})", fullmatch=True
    )
)
@example("Thu, 01 Jan 1970 00:00:00 +99999999999999999")
@example("Thu, 01 Jan 99999999999999999999 00:00:00 GMT")
@example("9" * 400)
def test_retry_after_never_fails(text: str) -> None:
    """Whatever a server sends, it is a wait that is not negative or none at all."""
    seconds = retry_after({"retry-after": text})
    assert seconds is None or seconds >= 0


def test_tried_until_it_succeeds() -> None:
    """A failure of the kind given is tried again."""
    work = Work(StoreUnavailable("a"), StoreUnavailable("b"))
    assert work.do() == "done"
    assert work.tries == 3


@pytest.mark.parametrize("error", [UrlRefused(403), ApiUnavailable("other kind"), ValueError("bug")])
def test_other_failures_are_not_tried_again(error: Exception) -> None:
    """Any other failure is raised at once."""
    work = Work(error)
    with pytest.raises(type(error)):
        work.do()
    assert work.tries == 1


def test_no_try_would_start_after_the_deadline() -> None:
    """The last failure is raised before the deadline, and itself."""
    work, begun = Work(*(StoreUnavailable(str(number)) for number in range(100))), time.monotonic()
    with pytest.raises(StoreUnavailable) as caught:
        work.do(seconds=0.5)
    assert time.monotonic() - begun < 0.5
    assert str(caught.value) == str(work.tries - 1)
    assert work.tries > 1


def test_waits_as_long_as_asked() -> None:
    """The server's Retry-After is the least wait."""
    work, begun = Work(StoreUnavailable("busy", retry_after=0.4)), time.monotonic()
    assert work.do() == "done"
    assert time.monotonic() - begun >= 0.4


def test_a_wait_that_was_asked_for_is_no_failed_try() -> None:
    """However often a server asks for a wait, the next one is no longer than it says, and a little more."""
    asked = [StoreUnavailable("busy", retry_after=0.05) for _ in range(8)]
    work, begun = Work(*asked), time.monotonic()
    assert work.do() == "done"
    assert 0.4 <= time.monotonic() - begun < 3


def test_the_wait_after_one_that_was_asked_for_is_the_first() -> None:
    """Waits grow with failures alone: what the server asked for meanwhile makes none of them longer."""
    tries = Tries(Deadline.after(60), threading.Event(), lambda *_: None)
    for _ in range(5):
        assert tries.pause(StoreUnavailable("busy", retry_after=0.01)) >= 0.01
    failures = [StoreUnavailable("broke off") for _ in range(3)]
    waits = [tries.pause(failure) for failure in failures]
    assert all(least <= wait <= least + 0.1 for wait, least in zip(waits, (0.1, 0.2, 0.4), strict=True))


@pytest.mark.parametrize("asked", [60.0, float("inf")])
def test_asked_to_wait_beyond_the_deadline(asked: float) -> None:
    """Where the server asks for more time than there is, the failure is raised at once."""
    work, begun = Work(ApiUnavailable("busy", retry_after=asked)), time.monotonic()
    with pytest.raises(ApiUnavailable):
        work.do(ApiUnavailable, seconds=5)
    assert time.monotonic() - begun < 1
    assert work.tries == 1


def test_nothing_is_tried_after_the_deadline() -> None:
    """With no time left nothing is tried at all."""
    work = Work()
    with pytest.raises(DeadlinePassed):
        work.do(seconds=0)
    assert work.tries == 0


def test_ends_when_closing() -> None:
    """Once the event is set a failure is raised without a wait or another try."""
    closing, work = threading.Event(), Work(*[StoreUnavailable("a", retry_after=5)] * 3)
    closing.set()
    begun = time.monotonic()
    with pytest.raises(StoreUnavailable):
        work.do(closing=closing)
    assert work.tries == 1
    assert time.monotonic() - begun < 1


def test_a_wait_ends_when_closing() -> None:
    """A wait that is under way ends when the event is set."""
    closing, work = threading.Event(), Work(*[StoreUnavailable("a", retry_after=5)] * 3)
    timer = threading.Timer(0.05, closing.set)
    timer.start()
    begun = time.monotonic()
    with pytest.raises(StoreUnavailable):
        work.do(closing=closing)
    timer.join()
    assert time.monotonic() - begun < 1
    assert work.tries <= 2


SERVER = Server("https", "store.example", 443)


def test_silence_to_the_end_is_told() -> None:
    """Who gives up on a server that never answered says so, with the failure unchanged."""
    silence = [StoreUnavailable("no answer in time", silent=SERVER) for _ in range(100)]
    work = Work(*silence)
    with pytest.raises(StoreUnavailable) as caught:
        work.do(seconds=0.3)
    assert caught.value in silence
    assert work.given_up == [SERVER]


def test_a_try_that_comes_too_late_tells_what_went_wrong_before() -> None:
    """A machine that is late itself does not hide why there is no answer."""
    silence = StoreUnavailable("nobody answers", silent=SERVER)
    work = Work(silence, DeadlinePassed("late"))
    with pytest.raises(StoreUnavailable) as raised:
        work.do()
    assert raised.value is silence
    assert (work.tries, work.given_up) == (2, [SERVER])


def test_what_answers_in_the_end_is_not_given_up() -> None:
    """Silence that ends in time, or in an answer of whatever kind, is no outage."""
    silence = StoreUnavailable("no answer in time", silent=SERVER)
    works = [Work(silence), Work(silence, StoreUnavailable("busy", retry_after=60))]
    assert works[0].do() == "done"
    with pytest.raises(StoreUnavailable):
        works[1].do()
    assert [work.given_up for work in works] == [[], []]


def test_closing_is_no_outage() -> None:
    """Whoever stops trying because all is over has learned nothing of the server."""
    closing, work = threading.Event(), Work(StoreUnavailable("no answer in time", silent=SERVER))
    closing.set()
    with pytest.raises(StoreUnavailable):
        work.do(closing=closing)
    assert work.given_up == []
