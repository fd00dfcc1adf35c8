"""The file `.sandbox.json`, which overrides fields of resources."""

import json
from pathlib import Path
from typing import Any

SIDECAR = ".sandbox.json"

Fields = dict[str, Any]


class BadSidecar(Exception):
    """The sidecar file cannot be read; the message says why."""


class Sidecar:
    """Fields by relative path, as the file has them now: `{"a/b.csv": {"size_bytes": null}}`."""

    def __init__(self, root: Path) -> None:
        """Use the file of the folder `root`, which may come and go."""
        self._path = root / SIDECAR
        self._version: tuple[int, int] | None = None
        self._fields: dict[str, Fields] = {}

    def refresh(self) -> None:
        """Read the file again if it changed.

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
        """What the file says of the resource at `path`, verbatim."""
        return self._fields.get(path, {})

    def paths_with_id(self, shown_id: str) -> list[str]:
        """The paths that the file gives an id that reads `shown_id`."""
        return [path for path, fields in self._fields.items() if str(fields.get("id", "")) == shown_id]
