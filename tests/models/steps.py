"""The steps of a model test: when one fails, the failure tells all that were done until then."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Steps:
    """What was done so far, in words. The first failure is given the steps as a note."""

    def __init__(self, more: Callable[[], list[str]] = list) -> None:
        """Also give `more`, if there is any, to the failure: lines that help to understand it."""
        self.done: list[str] = []
        self.has_failed = False
        self._more = more

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Do something that is named if anything goes wrong."""
        self.done.append(what)
        try:
            yield
        except BaseException as error:
            if not self.has_failed:
                self.has_failed = True
                error.add_note("\n".join(["The steps until then:", *self.done]))
                if more := self._more():
                    error.add_note("\n".join(more))
            raise
