"""The extended attributes of a file: what the API says about its resource, never the signed URL."""

from collections.abc import Mapping

from empirical_fs.api.resource import UPLOADED, Resource

_OF_DETAILS = {
    # The names that desktops use (freedesktop.org, Guidelines for extended attributes).
    "user.mime_type": "mime_type",
    "user.xdg.comment": "description",
    "user.empirical.project_id": "project_id",
    "user.empirical.created_by": "created_by",
    "user.empirical.created_at": "created_at",
    "user.empirical.updated_at": "updated_at",
    "user.empirical.access_level": "access_level",
}

CACHED = "user.empirical.cached"
"""How much of the file is on this computer's disk, in percent; only where the cache is on."""

_VALUE_MAX = 64 * 2**10
"""The most bytes of a value that Linux allows (XATTR_SIZE_MAX)."""


def extended_attributes(resource: Resource) -> Mapping[str, bytes]:
    """The values in UTF-8, by name; those that the API does not give are left out."""
    details = dict(resource.details)
    texts = {
        "user.empirical.id": str(resource.id),
        "user.empirical.name": resource.name,
        "user.empirical.status": UPLOADED,
        **{name: details[field] for name, field in _OF_DETAILS.items() if field in details},
    }
    return {name: _encoded(text) for name, text in sorted(texts.items())}


def _encoded(text: str) -> bytes:
    """The text in UTF-8, with `?` for characters that cannot be encoded, cut to the maximum length."""
    return text.encode(errors="replace")[:_VALUE_MAX].decode(errors="ignore").encode()
