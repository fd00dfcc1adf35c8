"""The URLs of most stores are not parsed one by one, and still mean what httpx reads in them."""

from functools import partial

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from empirical_fs.errors import UnsafeUrl
from empirical_fs.net.destination import Destination, Origin
from empirical_fs.net.urls import exact_target, parse_given
from empirical_fs.reading.fetch.object_store import _parsed

API = httpx.URL("https://api.example")
VISIBLE = "".join(map(chr, range(0x21, 0x7F)))


def origin_of(text: str, giver: httpx.URL) -> Origin:
    return Origin.of(parse_given(text, giver))


def shown(to: Destination) -> tuple[object, ...]:
    return to.origin.server, to.origin.host, to.origin.is_loopback, to.target, to.url


@given(
    st.sampled_from(("http", "https", "ftp")),
    st.sampled_from(
        (
            "store.example",
            "store.example:443",
            "store.example:0",
            "store.example:99999",
            "STORE.example",
            "u@store.example",
            "127.0.0.1",
            "localhost:80",
            "127.1",
            "xn--bcher-kva.example",
            "xn--a",
            "a..b",
            "",
        )
    ),
    st.text(VISIBLE, max_size=20).map(lambda text: f"/{text}"),
    st.sampled_from((API, httpx.URL("http://127.0.0.1:8000"))),
)
def test_it_is_what_httpx_reads(scheme: str, host: str, target: str, giver: httpx.URL) -> None:
    """The server, the Host field, the target and what is refused are the same, whatever the URL is."""
    text = f"{scheme}://{host}{target}"
    try:
        slow = Destination.of(parse_given(text, giver), exact_target(text))
    except UnsafeUrl:
        with pytest.raises(UnsafeUrl):
            _parsed(text, giver, partial(origin_of, giver=giver))
        return
    assert shown(_parsed(text, giver, partial(origin_of, giver=giver))) == shown(slow)
