"""The file `.sandbox.json`, which overrides fields of resources."""

import json
from pathlib import Path
from typing import Any

SIDECAR = ".sandbox.json"

Fields = dict[str, Any]


class BadSidecar(Exception):
    """The sidecar file cannot be read; the message says why."""


class Sidecar:
    """The file's current content, fields by relative path: `{"a/b.csv": {"size_bytes": null}}`."""

    def __init__(self, root: Path) -> None:
        """Use the file in the folder `root`; it may be created and deleted at any time."""
        self._path = root / SIDECAR
        self._version: tuple[int, int] | None = None
        self._fields: dict[str, Fields] = {}

    def refresh(self) -> None:
        """Read the file again if it has changed.

        Raises:
            BadSidecar: it is not JSON, or not of the right shape.
        """
        try:
            status = self._path.stat()
            version = (status.st_mtime_ns, status.st_size)
            if version == self._version:
                return
            fields = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            self._fields, self._version = {}, None
            return
        except (OSError, ValueError) as error:
            raise BadSidecar(f"{self._path} cannot be read: {error}") from error
        if not isinstance(fields, dict) or not all(isinstance(value, dict) for value in fields.values()):
            raise BadSidecar(f"{self._path} must map relative paths to objects of fields")
        self._fields, self._version = fields, version

    def fields(self, path: str) -> Fields:
        """The fields that the file gives for the resource at `path`, verbatim."""
        return self._fields.get(path, {})

    def paths_with_id(self, shown_id: str) -> list[str]:
        """The paths to which the file gives an id that, as text, is `shown_id`."""
        return [path for path, fields in self._fields.items() if str(fields.get("id", "")) == shown_id]
