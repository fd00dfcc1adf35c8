"""What tests see of a folder of the cache on disk."""

from pathlib import Path


def data_files(folder: Path) -> list[Path]:
    """The files with the bytes of versions."""
    return sorted(folder.rglob("*.data"))
