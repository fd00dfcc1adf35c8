"""The files that the operations work on."""

from dataclasses import dataclass

from empirical_fs.catalog.catalog import Catalog
from empirical_fs.fuse.inode_table import InodeTable
from empirical_fs.reading.walk_prefetch import WalkPrefetch


@dataclass(frozen=True, slots=True)
class Files:
    """The directory's files (`catalog`), what the kernel knows of them (`inodes`), and what opens them."""

    catalog: Catalog
    inodes: InodeTable
    walks: WalkPrefetch
