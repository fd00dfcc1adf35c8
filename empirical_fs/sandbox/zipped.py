"""Makes zip archives with the same bytes on every run."""

import io
import zipfile
from datetime import UTC, datetime

FIRST = datetime(2026, 3, 20, 10, 30, tzinfo=UTC)
"""The date of the first sample, and of all files in archives."""


def zipped(files: dict[str, bytes]) -> bytes:
    """A zip archive of these files (name: content)."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, content in files.items():
            date = (FIRST.year, FIRST.month, FIRST.day, FIRST.hour, FIRST.minute, FIRST.second)
            archive.writestr(zipfile.ZipInfo(name, date), content, zipfile.ZIP_DEFLATED)
    return written.getvalue()
