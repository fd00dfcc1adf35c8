"""Which refusals speak of the key, and which speak of one resource."""

import logging

import pytest

from empirical_fs.api.key_status import KeyStanding


class Timed:
    """A standing on a clock of its own."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.standing = KeyStanding(lambda: self.seconds)


def test_unauthorized_speaks_of_the_key() -> None:
    """After a 401 nothing is asked for three seconds, then one may try again."""
    timed = Timed()
    assert timed.standing.refusal("/a") is None
    timed.standing.refused("/a", 401)
    assert timed.standing.refusal("/b") == 401
    timed.seconds += 2.9
    assert timed.standing.refusal("/a") == 401
    timed.seconds += 0.2
    assert timed.standing.refusal("/a") is None


def test_forbidden_may_speak_of_one_resource() -> None:
    """After a 403 the same is not asked again at once, but all else is."""
    timed = Timed()
    timed.standing.refused("/a", 403)
    assert timed.standing.refusal("/a") == 403
    assert timed.standing.refusal("/b") is None


@pytest.mark.warns("ERROR .*: the API refuses the key .HTTP 403")
def test_forbidden_thrice_speaks_of_the_key() -> None:
    """Three in a row, and nothing accepted between them, are the key's fault."""
    timed = Timed()
    for path in "/a", "/b":
        timed.standing.refused(path, 403)
    timed.standing.accepted()
    for path in "/c", "/d":
        timed.standing.refused(path, 403)
    assert timed.standing.refusal("/e") is None
    timed.standing.refused("/e", 403)
    assert timed.standing.refusal("/f") == 403


@pytest.mark.warns("ERROR .*: the API refuses the key .HTTP 401", "WARNING .*: the API accepts the key again")
def test_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """One line says that an accepted key is refused, and one that it is accepted again."""
    caplog.set_level(logging.INFO)
    timed = Timed()
    timed.standing.accepted()
    for _ in range(50):
        timed.standing.refused("/a", 401)
        timed.seconds += 20
    assert len(caplog.records) == 1
    assert "HTTP 401" in caplog.text
    for _ in range(3):
        timed.standing.accepted()
    assert len(caplog.records) == 2


def test_a_key_that_was_never_accepted_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """At the start the command line says it."""
    Timed().standing.refused("/a", 401)
    assert not caplog.records
