"""Extended attributes have what the API says of a file, and nothing that it does not say."""

from hypothesis import given
from hypothesis import strategies as st

from empirical_fs.api.resource import Resource
from empirical_fs.fuse.xattrs import extended_attributes
from tests.support.listed import said


def resource(name: str = "a", **details: str) -> Resource:
    return Resource(id=7, name=name, size=1, updated_ns=0, link=None, said=said(**details))


def test_what_is_not_said_is_left_out() -> None:
    """An upload without a description has no comment; the rest is as the API says it."""
    assert extended_attributes(resource(mime_type="text/plain", project_id="4")) == {
        "user.empirical.id": b"7",
        "user.empirical.name": b"a",
        "user.empirical.project_id": b"4",
        "user.empirical.status": b"uploaded",
        "user.mime_type": b"text/plain",
    }


@given(st.text(), st.text(max_size=100).map(lambda text: text * 2000))
def test_any_text(name: str, description: str) -> None:
    """Whatever was said becomes UTF-8 that Linux takes, and is cut only where it is too long."""
    attributes = extended_attributes(resource(name, description=description))
    assert attributes["user.empirical.name"] == name.encode(errors="replace")
    comment, whole = attributes["user.xdg.comment"], description.encode(errors="replace")
    assert whole.startswith(comment)
    assert len(comment) == len(whole) or 2**16 - 4 < len(comment) <= 2**16
    assert comment.decode()[:10] == whole.decode()[:10]
