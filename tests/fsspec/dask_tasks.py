"""What Dask's workers do. They import this file, so it imports little."""

from hashlib import shake_128
from typing import Any

LARGE = shake_128(b"large").digest(12 * 2**20)


def length_of(file: Any) -> int:
    with file as opened:
        return len(opened.read())


def is_part(fs: Any, start: int) -> bool:
    with fs.open("large.bin") as file:
        file.seek(start)
        return bool(file.read(2**20) == LARGE[start : start + 2**20])


def number_of(line: str) -> int:
    number = line.partition(",")[0]
    return int(number) if number.isdecimal() else 0
