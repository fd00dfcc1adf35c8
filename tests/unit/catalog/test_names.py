"""Every resource gets a legal name of its own, the same one whatever the order of the listing."""

import unicodedata
from os.path import splitext
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from empirical_fs.catalog.names import NAME_MAX, legal_name, unique_names

STEMS = ["", ".", "..", "a", "_", "/", "\x00", "\ud800", "\x85", "a (1)", "a (2)", "a (1-2)", "a (2) (1)"]
STEMS += ["é" * 127, "é" * 120 + "a", "a" * 250, "a" * 251, "😀" * 63, "😀" * 64]
EXTENSIONS = [
    "",
    ".",
    ".txt",
    ".tar.gz",
    ".(1)",
    " (1).txt",
    " (2).txt",
    ".é",
    "." + "x" * 253,
    "." + "é" * 130,
]
NAMES = st.builds(str.__add__, st.sampled_from(STEMS), st.sampled_from(EXTENSIONS)) | st.text(st.characters())
PROJECTS = st.dictionaries(st.integers(1, 12), NAMES, max_size=12)


def is_legal(name: str) -> bool:
    """The contract's words, said another way than the code says them."""
    if any(c == "/" or unicodedata.category(c) in ("Cc", "Cs") for c in name):
        return False
    return name not in ("", ".", "..") and len(name.encode()) <= NAME_MAX


@given(PROJECTS)
def test_every_name_is_legal_and_no_two_are_equal(project: dict[int, str]) -> None:
    """Whatever the names are, every resource gets one legal name that nobody else has."""
    names = unique_names(project.items())
    assert names.keys() == project.keys()
    assert len(set(names.values())) == len(names)
    assert all(is_legal(name) for name in names.values())


@given(PROJECTS)
def test_lowest_id_keeps_a_legal_name(project: dict[int, str]) -> None:
    """A legal name stays, byte for byte, with the lowest id that has it, whatever the others are called."""
    names = unique_names(project.items())
    for name in set(project.values()):
        if is_legal(name):
            assert names[min(i for i in project if project[i] == name)] == name


@given(PROJECTS, st.randoms(use_true_random=False))
def test_order_does_not_matter(project: dict[int, str], random: Random) -> None:
    """The names depend on the set of resources alone."""
    shuffled = list(project.items())
    random.shuffle(shuffled)
    assert unique_names(shuffled) == unique_names(sorted(project.items()))


@given(
    st.dictionaries(st.integers(1, 12), st.builds(str.__add__, st.sampled_from(STEMS[3:13]), st.just(".txt")))
)
def test_others_get_their_id(project: dict[int, str]) -> None:
    """Every further resource of one name is `stem (ID).ext`, if that is not a name of the project itself."""
    names = unique_names(project.items())
    legal = {i: legal_name(name) for i, name in project.items()}
    for i, name in legal.items():
        stem, extension = splitext(name)  # noqa: PTH122 - a name and no path
        expected = f"{stem} ({i}){extension}"
        if names[i] != name and expected not in legal.values():
            assert names[i] == expected


@pytest.mark.parametrize(
    ("project", "expected"),
    [
        ({1: "a.txt", 2: "a.txt"}, {1: "a.txt", 2: "a (2).txt"}),
        ({2: "a.txt", 1: "a.txt", 3: "a (2).txt"}, {1: "a.txt", 2: "a (2-2).txt", 3: "a (2).txt"}),
        ({1: "a", 2: "a", 3: "a (2)", 4: "a (2-2)"}, {1: "a", 2: "a (2-3)", 3: "a (2)", 4: "a (2-2)"}),
        ({1: "a/b", 2: "a_b"}, {1: "a_b (1)", 2: "a_b"}),
        ({5: "", 6: ".", 7: ".."}, {5: "_", 6: "_ (6)", 7: "_ (7)"}),
        ({1: ".bashrc", 2: ".bashrc"}, {1: ".bashrc", 2: ".bashrc (2)"}),
        ({1: "A", 2: "a"}, {1: "A", 2: "a"}),
        ({1: "é", 2: "e\u0301"}, {1: "é", 2: "e\u0301"}),
        ({}, {}),
    ],
)
def test_examples(project: dict[int, str], expected: dict[int, str]) -> None:
    """What the contract comes to for names that collide, also with names made for others."""
    assert unique_names(project.items()) == expected


@given(st.sampled_from(["a", "é", "概", "😀"]), st.integers(0, 3), st.sampled_from(EXTENSIONS[2:6]))
def test_extension_survives_the_cut(character: str, ascii_before: int, extension: str) -> None:
    """A long name is cut before its extension, at a character, and by no more characters than it must be."""
    stem, extension = splitext("b" * ascii_before + character * NAME_MAX + extension)  # noqa: PTH122 - a name
    name = legal_name(stem + extension)
    kept = name.removesuffix(extension)
    assert name.endswith(extension)
    assert stem.startswith(kept)
    assert NAME_MAX - len(character.encode()) < len(name.encode()) <= NAME_MAX


def test_id_and_extension_survive_the_cut() -> None:
    """Of two long names that are equal, the second has its id, its extension and NAME_MAX bytes."""
    name = "é" * 125 + "a.txt"
    names = unique_names([(1, name), (22, name)])
    assert names == {1: name, 22: "é" * 123 + " (22).txt"}


def test_extension_that_is_too_long_is_cut_too() -> None:
    """Where the extension alone is too long it is no extension."""
    assert legal_name("a." + "é" * 200) == "a." + "é" * 126


@pytest.mark.parametrize("character", ["/", "\0", "\n", "\x1b", "\x7f", "\x80", "\x9f", "\ud800"])
def test_illegal_characters_become_underscores(character: str) -> None:
    """`/`, NUL, other control characters and unpaired surrogates become `_`, one for each."""
    assert legal_name(f"a{character}{character}b") == "a__b"
