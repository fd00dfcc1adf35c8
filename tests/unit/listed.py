"""What tests say of resources."""

from empirical_fs.api.resource import MADE_FROM


def said(**fields: object) -> tuple[object, ...]:
    """What the API says of a resource, as `Resource.said` has it."""
    assert fields.keys() <= set(MADE_FROM)
    return tuple(fields.get(each) for each in MADE_FROM)
