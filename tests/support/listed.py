"""What tests say of resources."""

from collections.abc import Callable
from functools import partial

from empirical_fs.api.listing import Leisure, Listing, fetch_listing, in_a_hurry
from empirical_fs.api.pages import Page
from empirical_fs.api.resource import MADE_FROM
from empirical_fs.work.parallel import in_parallel
from empirical_fs.work.progress import Progress, unseen


def said(**fields: object) -> tuple[object, ...]:
    """What the API says of a resource, as `Resource.said` has it."""
    assert fields.keys() <= set(MADE_FROM)
    return tuple(fields.get(each) for each in MADE_FROM)


def fetched(
    fetch_page: Callable[[int], Page], progress: Progress = unseen, leisure: Leisure = in_a_hurry
) -> Listing:
    """The listing of an API that answers each page so."""
    return fetch_listing(partial(in_parallel, fetch_page), progress, leisure)
