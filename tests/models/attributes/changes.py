"""Changes of a project that hypothesis thinks of, and what the API is told after them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from tests.models.attributes.model import Json, Told
from tests.support.harness import noise

_FILES_MAX = 9
_SECOND = 10**9
_UNUSUAL_IDS = (0, 2_147_483_648, 4_294_967_297, 9_223_372_036_854_775_806)

NAMES = st.sampled_from(
    [
        *("a.txt", "a.txt", "a.txt", "a (2).txt", "a (3).txt", "b", "c.tar.gz", "ü.txt", "Plan", "Plan.url"),
        *("a/b", "a\x01b", "a\nb", "a_b", "", ".", "..", "_", ".hidden", "name.", "..x", "\ud800x", "\x85"),
        *("x" * 255, "x" * 256, "x" * 300 + ".txt", "é" * 200, "f." + "e" * 260, "y" * 1000, "_ (2)"),
    ]
)
BASES = st.sampled_from(
    [1_500_000_000, 1_600_000_000, 3_000_000_000, 100_000, -1_000_000_000, 250_000_000_000]
)
FORMS = st.integers(0, 4)
_EXACT, _BY_CREATION = 0, 3
SIZES = st.sampled_from([0, 1, 511, 512, 513, 5000, 100_000])
KINDS = st.sampled_from(
    [
        *("create", "create", "create", "create a link", "create unsized", "replace", "replace", "grow"),
        *(
            "rename",
            "rename",
            "re-date",
            "describe",
            "describe",
            "change type",
            "change page",
            "change owner",
        ),
        *("delete", "recreate", "return", "become a link", "swap names", "nothing"),
    ]
)
DETAILS = {
    "description": st.sampled_from([None, "", "what it is", "zwei\nZeilen: naïve", 7]),
    "mime_type": st.sampled_from([None, "text/plain", "image/png"]),
    "created_by": st.sampled_from([None, "someone", "another"]),
    "access_level": st.sampled_from([None, "project", "private"]),
    # One project, for a listing of another one is refused; it is not always told.
    "project_id": st.sampled_from([None, 4, 4]),
}

_DESCRIBED = {
    "describe": ("description",),
    "change type": ("mime_type",),
    "change owner": ("created_by", "access_level", "project_id"),
}
"""Which details change, and no date with them."""


@dataclass(frozen=True)
class Change:
    """Something that is done to a project; which of the values count depends on what."""

    kind: str
    which: int
    name: str
    size: int
    base: int
    form: int
    details: tuple[tuple[str, Json], ...]


CHANGES = st.builds(
    Change,
    kind=KINDS,
    which=st.integers(0, 99),
    name=NAMES,
    size=SIZES,
    base=BASES,
    form=FORMS,
    details=st.fixed_dictionaries(DETAILS).map(lambda given: tuple(given.items())),
)


class Changing:
    """A project that changes: what its API is told."""

    def __init__(self) -> None:
        """An empty project."""
        self.told: dict[int, Told] = {}
        """The resources by their ids."""
        self._gone: dict[int, Told] = {}
        self._had_dates: set[int] = set()
        """The ids of those for which an `updated_at` was told, whatever became of them."""
        self._moments = 0

    def apply(self, change: Change) -> None:
        """One change; where there is nothing to be changed, something is made."""
        ids = sorted(self.told)
        self._do(change, self.told[ids[change.which % len(ids)]] if ids else None)

    def _do(self, change: Change, chosen: Told | None) -> None:
        """A change of `chosen`, or beside it."""
        kind = change.kind
        if chosen is None or (kind.startswith("create") and len(self.told) < _FILES_MAX):
            self._put(self._new(self._free_id(change.which), change))
            return
        fields, details = dict(chosen.fields), dict(change.details)
        if kind in _DESCRIBED:
            changed = {name: details[name] for name in _DESCRIBED[kind]}
            self._put(replace(chosen, fields=tuple({**fields, **changed}.items())))
        elif kind == "rename":
            self._put(replace(chosen, name=change.name))
        elif kind == "swap names":
            other = self.told[sorted(self.told)[(change.which // 10) % len(self.told)]]
            self._put(replace(chosen, name=other.name))
            self._put(replace(other, name=chosen.name))
        elif kind == "change page" and chosen.page is not None:
            self._put(replace(chosen, page=_page(change.which)))
        elif kind in ("delete", "recreate"):
            self._gone[chosen.id] = self.told.pop(chosen.id)
            if kind == "recreate":
                self._put(replace(self._new(self._free_id(change.which), change), name=chosen.name))
        elif kind == "return" and self._gone:
            back = self._gone.pop(sorted(self._gone)[change.which % len(self._gone)])
            self._put(self._dated(back, change) if change.which % 2 and back.id not in self.told else back)
        elif kind == "nothing":
            pass
        else:
            self._put(self._renewed(chosen, change))

    def _renewed(self, chosen: Told, change: Change) -> Told:
        """Another version: its date always changes, which is all that tells a listing's reader of it."""
        dated = self._dated(chosen, change)
        if change.kind == "become a link":
            return replace(dated, page=_page(change.which), content=b"")
        if chosen.page is not None or change.kind == "re-date":
            return dated
        if change.kind == "grow":
            return replace(dated, content=chosen.content + b"more")
        return replace(dated, content=self._content(change.size))

    def _new(self, identity: int, change: Change) -> Told:
        is_link = change.kind == "create a link"
        content = b"" if is_link else self._content(change.size)
        fields = tuple(change.details)
        page = _page(change.which) if is_link else None
        is_sized = change.kind != "create unsized"
        told = Told(identity, change.name, 0, fields, content, page, is_sized)
        return self._dated(told, change)

    def _dated(self, told: Told, change: Change) -> Told:
        """With a date that it never had, in one of the forms that an API may write."""
        self._moments += 1
        seconds, fraction = change.base + self._moments, self._moments * 1_234_567 % _SECOND
        # A date that an id had stays, where the API says none any more.
        form = _EXACT if told.id in self._had_dates and change.form == _BY_CREATION else change.form
        updated, created, date_ns = _written(seconds, fraction, form)
        if updated is not None:
            self._had_dates.add(told.id)
        fields = {**dict(told.fields), "updated_at": updated, "created_at": created}
        return replace(told, date_ns=date_ns, fields=tuple(fields.items()))

    def _content(self, size: int) -> bytes:
        self._moments += 1
        return noise(size, self._moments)

    def _put(self, told: Told) -> None:
        self._gone.pop(told.id, None)
        self.told[told.id] = told

    def _free_id(self, which: int) -> int:
        """One that is in no use, low or very high, and that another resource may have had."""
        candidates: list[int] = [*range(1, 3 * _FILES_MAX), *_UNUSUAL_IDS]
        free = [each for each in candidates if each not in self.told]
        return free[which % len(free)]


def _page(which: int) -> str:
    return f"https://example.com/page/{which}?q=1"


def _written(seconds: int, fraction: int, form: int) -> tuple[str | None, str | None, int]:
    """The fields `updated_at` and `created_at` that say a date, and the date, in nanoseconds."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    whole = moment.strftime("%Y-%m-%dT%H:%M:%S")
    exact = seconds * _SECOND + fraction
    in_kolkata = (moment + timedelta(hours=5, minutes=30)).strftime("%Y-%m-%dT%H:%M:%S")
    forms: list[Callable[[], tuple[str | None, str | None, int]]] = [
        lambda: (f"{whole}.{fraction:09}Z", "2001-01-01T00:00:00Z", exact),
        lambda: (f"{whole}.{fraction // 1000:06}+00:00", None, exact // 1000 * 1000),
        lambda: (f"{in_kolkata}+05:30", "2001-01-01T00:00:00Z", seconds * _SECOND),
        lambda: (None, f"{whole}.{fraction:09}Z", exact),
        lambda: (f"{moment:%Y%m%dT%H%M%S}Z", None, seconds * _SECOND),
    ]
    return forms[form]()
