"""What a server bears, found out by its refusals: simulated servers on a clock of their own."""

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from empirical_fs.net.pace import Pace

Refuses = Callable[[float, int], bool]
"""Whether a server refuses a request that comes at a moment, beside so many others."""


@dataclass
class Simulated:
    """Readers who want `wanted` requests, `readers` at once, each of which takes `seconds`."""

    refuses: Refuses
    seconds: float
    readers: int
    asked: float | None = 1.0
    pace: Pace = field(default_factory=Pace)
    now: float = 100.0
    served: int = 0
    refused: int = 0

    def run(self, wanted: int) -> float:
        """Serve as many requests, and say how long that took."""
        begun, ends = self.now, list[float]()
        waiting = deque([0] * min(self.readers, wanted))
        left = wanted - len(waiting)
        while waiting or ends:
            delay = self.pace.delay(self.now) if waiting else None
            if delay == 0:
                waiting.popleft()
                self.pace.sent(self.now)
                if self.refuses(self.now, len(ends)):
                    self.refused += 1
                    self.pace.refused(self.now, self.now, self.asked)
                    waiting.append(0)
                else:
                    self.pace.accepted(self.now)
                    heapq.heappush(ends, self.now + self.seconds)
                continue
            moments = ends[:1] + ([] if delay is None else [self.now + delay])
            assert moments, "nothing would ever happen again"
            self.now = min(moments)
            while ends and ends[0] <= self.now:
                heapq.heappop(ends)
                self.pace.ended()
                self.served += 1
                if left:
                    left -= 1
                    waiting.append(0)
        return self.now - begun


def at_once(most: int) -> Refuses:
    return lambda _, others: others >= most


def per_second(rate: float, burst: float) -> Refuses:
    tokens, last = burst, 0.0

    def refuses(now: float, _others: int) -> bool:
        nonlocal tokens, last
        tokens, last = min(tokens + (now - last) * rate, burst), now
        if tokens < 1:
            return True
        tokens -= 1
        return False

    return refuses


def test_nothing_is_limited_at_first() -> None:
    """A server that refuses nothing gets whatever there is."""
    pace = Pace()
    for number in range(1000):
        assert pace.delay(float(number)) == 0
        pace.sent(float(number))
        pace.accepted(float(number))
    assert not pace.is_limited


@pytest.mark.parametrize("asked", [1.0, None])
@pytest.mark.parametrize("most", [1, 2, 5])
def test_a_server_that_takes_few_at_once(most: int, asked: float | None) -> None:
    """It is kept busy, and few requests are refused once it is known how many it takes."""
    simulated = Simulated(at_once(most), 1.0, 24, asked)
    seconds = simulated.run(100)
    assert simulated.served == 100
    assert seconds < 100 / most * 1.3 + 5
    assert simulated.refused < 24 + seconds / 2


@pytest.mark.parametrize("burst", [1, 10])
@pytest.mark.parametrize("seconds", [0.005, 0.05])
def test_a_server_that_takes_so_many_a_second(burst: int, seconds: float) -> None:
    """The pace comes near its rate, whether it makes up for a pause or not."""
    simulated = Simulated(per_second(10, burst), seconds, 48)
    assert simulated.run(400) < 40 * 1.6
    assert simulated.refused < 48 + 40


def test_a_server_that_recovers() -> None:
    """Some seconds after the last refusal, requests become as many as ever."""
    simulated = Simulated(at_once(2), 0.1, 64)
    simulated.run(100)
    assert simulated.pace.is_limited
    simulated.refuses = at_once(1000)
    simulated.run(3000)
    assert not simulated.pace.is_limited


def test_a_pause_is_kept_and_ends() -> None:
    """Whoever asks to be left alone is, for so long and by itself; a minute is the most."""
    pace = Pace()
    assert pace.pause(100) == 0
    for at, asked, least in ((100, 10, 10), (200, 3600, 60)):
        pace.sent(at)
        pace.refused(at, at, asked)
        assert pace.pause(at + 4) == pytest.approx(least - 4)
        assert pace.delay(at + 4) == pytest.approx(least - 4)
        assert pace.pause(at + least) == 0
        assert pace.delay(at + least) == 0


@pytest.mark.parametrize("seconds", [10.0**9, float("inf"), 0.0])
def test_nobody_is_left_alone_for_ages(seconds: float) -> None:
    """What no server means is no pause at all."""
    pace = Pace()
    pace.sent(100)
    pace.refused(100, 100, seconds)
    assert pace.delay(100) == 0


def test_what_fails_by_itself_limits_nobody() -> None:
    """A request that is refused when it is alone says nothing of how many the server bears."""
    pace = Pace()
    for number in range(100):
        pace.sent(float(number))
        pace.refused(float(number), float(number))
    assert not pace.is_limited
