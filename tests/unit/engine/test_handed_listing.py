"""A listing that is handed to another process is read there as it was, or not at all."""

import random
from dataclasses import replace

import httpx

from empirical_fs.api.last_good import Known
from empirical_fs.api.resource import Resource, parse_resource
from empirical_fs.cache.listing_format import KeptListing
from empirical_fs.engine.handed_listing import HandedListing, handed, taken
from empirical_fs.settings.settings import ProjectSettings

KEY = "a-key-0123456789"
SETTINGS = ProjectSettings(
    key=KEY,
    api_url=httpx.URL("https://api.example"),
    refresh=60,
    url_ttl=3000,
    memory=2**28,
    siblings=0,
    timeout=30,
)


def listing(count: int) -> KeptListing:
    generator = random.Random(1)

    def resource(number: int) -> Resource:
        found = parse_resource(
            {
                "id": number,
                "name": f"{generator.randbytes(8).hex()}.csv",
                "status": "uploaded",
                "size_bytes": generator.randrange(10**9),
                "url": "https://store.example/a?X-Amz-Signature=1",
                "updated_at": f"2026-01-02T03:04:{generator.randrange(10, 60)}Z",
            }
        )
        assert found is not None
        return found

    return KeptListing(Known(shown={each: resource(each) for each in range(count)}), (), 1000.5, 1001.5)


def sent(count: int) -> HandedListing:
    found = handed(listing(count), SETTINGS)
    assert found is not None
    return found


def test_all_of_it_arrives_without_key_and_url() -> None:
    one = sent(3000)
    assert taken(one, SETTINGS) == listing(3000)
    assert len(one.content) <= 128 * 2**10
    # What is compressed hides nothing that is not there: the plain text is the listing's alone.
    assert KEY.encode() not in one.content


def test_another_key_or_api_takes_nothing() -> None:
    one = sent(10)
    assert taken(one, replace(SETTINGS, key="another")) is None
    assert taken(one, replace(SETTINGS, api_url=httpx.URL("https://other.example"))) is None
    assert taken(one, replace(SETTINGS, api_url=httpx.URL("https://api.example/"))) is not None


def test_what_is_damaged_is_not_taken() -> None:
    one = sent(10)
    for content in (b"", one.content[:-5], one.content[:50] + b"?" + one.content[51:], b"x" * 100):
        assert taken(replace(one, content=content), SETTINGS) is None


def test_a_listing_that_would_weigh_on_each_task_is_not_sent() -> None:
    assert handed(listing(8000), SETTINGS) is None
