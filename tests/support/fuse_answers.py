"""A requests whose requests are answered to nobody, for tests of what answers them."""

from dataclasses import dataclass
from typing import Any, cast

from empirical_fs.fuse.library import Library
from empirical_fs.fuse.request import OpenRequests
from empirical_fs.work.timer import Timer


@dataclass
class Caller:
    """Who asks."""

    pid: int


class NoLibrary:
    """Notes the answers of libfuse's functions, each as its name and what it was given."""

    def __init__(self) -> None:
        self.said: list[tuple[str, Any]] = []
        self.pid = 0
        self.result = 0
        self.interrupt: Any = None

    def __getattr__(self, name: str) -> Any:
        def reply(_raw: int, *words: Any) -> Any:
            if name == "context":
                return Caller(self.pid)
            self.said.append((name, words[0] if words else None))
            return self.result

        return reply

    def on_interrupt(self, raw: int, interrupted: Any, number: int) -> None:
        self.interrupt = lambda: interrupted(raw, number)


def requests(library: NoLibrary, timer: Timer | None = None) -> OpenRequests:
    return OpenRequests(cast(Library, library), timer or Timer())
