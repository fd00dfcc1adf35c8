"""Archives that are the same on every run."""

import io
import zipfile
from datetime import UTC, datetime

FIRST = datetime(2026, 3, 20, 10, 30, tzinfo=UTC)
"""The date of the first sample, and of all that is in an archive."""


def zipped(files: dict[str, bytes]) -> bytes:
    """An archive of these files."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, content in files.items():
            date = (FIRST.year, FIRST.month, FIRST.day, FIRST.hour, FIRST.minute, FIRST.second)
            archive.writestr(zipfile.ZipInfo(name, date), content, zipfile.ZIP_DEFLATED)
    return written.getvalue()
