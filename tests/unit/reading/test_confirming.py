"""What was served from disk is asked about once: soon, the last one first, and never in a rush."""

from collections.abc import Callable

from empirical_fs.api.resource import Resource
from empirical_fs.errors import ContentChanged, NoThread
from empirical_fs.reading.confirming import Confirming, Unconfirmed
from empirical_fs.reading.content import Content
from empirical_fs.reading.version import Extent, Head, Validators
from empirical_fs.work.timer import Timer
from tests.support.harness import wait_until

OURS, OTHERS = Validators(etag='"ours"'), Validators(etag='"other"')


def recalled(resource_id: int = 1, before: Content | None = None, updated_ns: int = 10**18) -> Content:
    """A content of which only the disk knows."""
    resource = Resource(id=resource_id, name="a", size=100, updated_ns=updated_ns, link=None)
    content = Content(resource, 100, before=before)
    content.recall(OURS)
    return content


def answer(content: Content, validators: Validators = OURS) -> None:
    try:
        content.tie(Head(Extent(0, 1), validators, 100), is_listed=True)
    except ContentChanged:
        assert content.is_over


class TestUnconfirmed:
    def test_the_last_one_first(self) -> None:
        """What was read last is what the user looks at; what was read twice is asked about once."""
        unconfirmed, contents = Unconfirmed(), [recalled(each) for each in range(3)]
        for each in (*contents, contents[0]):
            unconfirmed.add(each)
        taken = [unconfirmed.take(0.0) for _ in range(4)]
        assert taken == [contents[0], contents[2], contents[1], None]

    def test_a_walk_costs_twenty_requests_a_second(self) -> None:
        """However many files it reads; the first one is asked about at once."""
        unconfirmed, now, asked = Unconfirmed(), 0.0, 0
        for each in range(5000):
            unconfirmed.add(recalled(each))
        while now < 10.0:
            seconds = unconfirmed.due_in(now)
            assert seconds is not None
            assert seconds > 0 or asked == 0
            now += seconds
            content = unconfirmed.take(now)
            assert content is not None
            asked += 1
            answer(content)
            unconfirmed.answered(content, now)
        assert 190 <= asked <= 202

    def test_few_at_once(self) -> None:
        """With two questions under way, the next one waits for an answer."""
        unconfirmed, contents = Unconfirmed(), [recalled(each) for each in range(4)]
        for each in contents:
            unconfirmed.add(each)
        under_way = [unconfirmed.take(0.0), unconfirmed.take(1.0)]
        assert unconfirmed.due_in(9.0) is None
        first = under_way[0]
        assert first is not None
        answer(first)
        unconfirmed.answered(first, 9.0)
        assert unconfirmed.due_in(9.0) == 0

    def test_what_is_known_meanwhile(self) -> None:
        """A read that asked the store itself has had the answer."""
        unconfirmed, one, other = Unconfirmed(), recalled(1), recalled(2)
        unconfirmed.add(one)
        unconfirmed.add(other)
        answer(one)
        answer(other, OTHERS)
        assert unconfirmed.take(0.0) is None
        assert unconfirmed.due_in(0.0) is None

    def test_without_an_answer(self) -> None:
        """Offline, it is asked again later, less and less often; it is not forgotten."""
        unconfirmed, content, now, pauses = Unconfirmed(), recalled(), 0.0, []
        unconfirmed.add(content)
        for _ in range(6):
            assert unconfirmed.take(now) is content
            unconfirmed.answered(content, now)
            seconds = unconfirmed.due_in(now)
            assert seconds is not None
            pauses.append(seconds)
            now += seconds
        assert pauses == [5, 10, 20, 40, 60, 60]


class TestConfirming:
    def test_it_asks_once(self, timer: Timer) -> None:
        """In the background; what has been replaced is told."""
        asked, replaced = list[Content](), list[Content]()

        def ask(content: Content, on_answered: Callable[[], object]) -> None:
            asked.append(content)
            answer(content, OTHERS if content.resource_id == 2 else OURS)
            on_answered()

        confirming = Confirming(timer)
        confirming.start(ask, replaced.append)
        same, other = recalled(1), recalled(2)
        for each in (same, other, same):
            confirming.served(each)
        wait_until(lambda: same.is_confirmed and replaced, "both answers")
        confirming.served(same)
        assert replaced == [other]
        assert sorted(each.resource_id for each in asked) == [1, 2]

    def test_without_a_thread(self, timer: Timer) -> None:
        """It is as if the store had not answered."""
        asked = list[Content]()

        def ask(content: Content, _on_answered: Callable[[], object]) -> None:
            asked.append(content)
            raise NoThread

        confirming = Confirming(timer)
        confirming.start(ask, lambda _: None)
        confirming.served(recalled())
        wait_until(lambda: asked, "the question")
        confirming.close()


def test_what_was_replaced_is_not_recalled() -> None:
    """Bytes on disk that the store has no longer are not taken again, as long as the listing is the same."""
    before = recalled()
    answer(before, OTHERS)
    after = recalled(before=before)
    assert after.validators is None
    answer(after, OTHERS)
    assert recalled(before=after).validators == OURS
    assert recalled(before=before, updated_ns=2 * 10**18).validators == OURS
