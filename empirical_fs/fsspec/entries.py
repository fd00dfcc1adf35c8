"""What fsspec is told of a file."""

from datetime import UTC, datetime
from typing import Any

from empirical_fs.catalog.snapshot import Entry
from empirical_fs.timestamps import nanoseconds_since_epoch


def info(entry: Entry) -> dict[str, Any]:
    """The name, the size, the type, the id of the resource and the times in seconds since the epoch."""
    resource = entry.resource
    created, details = created_ns(entry), resource.details
    told = {
        "name": entry.name,
        "size": entry.size if entry.is_sized else None,
        "type": "file",
        "id": resource.id,
        "mtime": resource.updated_ns / 1e9,
        "created": None if created is None else created / 1e9,
    }
    return told | {name: details[name] for name in ("mime_type", "description") if name in details}


def created_ns(entry: Entry) -> int | None:
    """When the resource was created, in nanoseconds since the epoch; None if the API does not tell."""
    return nanoseconds_since_epoch(entry.resource.details.get("created_at"))


def time(nanoseconds: int) -> datetime:
    """A time in nanoseconds since the epoch as Python has it."""
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC)
