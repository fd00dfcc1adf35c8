"""A large table, the same every time."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

COLUMNS = 16
_ROWS_PER_GROUP = 2**17
_NUMBER_BYTES = 8


def write(path: Path, size: int) -> None:
    """Write a table of about `size` bytes: 16 MiB for a group of rows, and 1 MiB for each column in it."""
    groups = max(size // (_ROWS_PER_GROUP * _NUMBER_BYTES * COLUMNS), 1)
    schema = pa.schema([(f"c{column}", pa.int64()) for column in range(COLUMNS)])
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for group in range(groups):
            first = group * _ROWS_PER_GROUP
            numbers = pa.array(range(first, first + _ROWS_PER_GROUP), pa.int64())
            writer.write_table(pa.table([numbers] * COLUMNS, schema), _ROWS_PER_GROUP)
