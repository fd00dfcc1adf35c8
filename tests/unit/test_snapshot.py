from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from empirical_fs.resource import Resource
from empirical_fs.snapshot import ROOT_INODE, Entry, Snapshot

PAGE = "https://x/page"


def resource(identity: int, name: str = "", **fields: object) -> Resource:
    base = Resource(
        id=identity, name=name or f"{identity}.txt", url=None, size=identity * 10, updated_ns=0, link=None
    )
    return replace(base, **fields)  # type: ignore[arg-type]


def snapshot(*resources: Resource) -> Snapshot:
    return Snapshot({each.id: each for each in resources})


def test_entries() -> None:
    """A snapshot has every file by its name, in order, with an inode number of its own, never the root's."""
    taken = snapshot(resource(5, "b"), resource(0, "c"), resource(3, "a", updated_ns=7), resource(9, "b"))
    assert list(taken.by_name) == ["a", "b", "b (9)", "c"]
    inodes = {entry.inode for entry in taken.by_name.values()}
    assert len(inodes) == 4
    assert ROOT_INODE not in inodes
    assert taken.by_name["b (9)"].resource.id == 9
    assert taken.size == 170
    assert taken.updated_ns == 7


def test_an_empty_snapshot() -> None:
    """An empty project has no size and no age."""
    assert (dict(snapshot().by_name), snapshot().size, snapshot().updated_ns) == ({}, 0, 0)


def test_a_link() -> None:
    """A link is a small InternetShortcut, whose name ends in .url and whose size is that of its text."""
    entry = snapshot(resource(1, "Plan", link=PAGE, size=None)).by_name["Plan.url"]
    assert entry.content == b"[InternetShortcut]\r\nURL=https://x/page\r\n"
    assert entry.size == len(entry.content)
    assert snapshot(resource(1, "Plan", link=PAGE, size=None)).size == entry.size


def test_an_upload_of_unknown_size() -> None:
    """An upload whose size is not known is empty for now."""
    entry = Entry("a", resource(1, size=None))
    assert (entry.size, entry.content) == (0, None)


PROJECTS = st.dictionaries(
    st.integers(0, 5),
    st.builds(
        lambda name, size, updated: (name, size, updated),
        st.sampled_from("abc"),
        st.none() | st.integers(0, 2),
        st.integers(0, 1),
    ),
).map(lambda given: snapshot(*(resource(i, n, size=s, updated_ns=u) for i, (n, s, u) in given.items())))


@given(PROJECTS, PROJECTS)
def test_changes(older: Snapshot, newer: Snapshot) -> None:
    """A name has changed if it is gone or new, or means another resource, size or time than before."""

    def meaning(of: Snapshot, name: str) -> tuple[int, int, int] | None:
        entry = of.by_name.get(name)
        return None if entry is None else (entry.resource.id, entry.size, entry.resource.updated_ns)

    names = older.by_name.keys() | newer.by_name.keys()
    expected = {
        name: newer.by_name.get(name) for name in names if meaning(older, name) != meaning(newer, name)
    }
    assert newer.changed_since(older) == expected
