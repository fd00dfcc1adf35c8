"""What the operations work on."""

from dataclasses import dataclass

from empirical_fs.catalog.catalog import Catalog
from empirical_fs.fuse.inode_table import InodeTable
from empirical_fs.reading.walk_prefetch import WalkPrefetch


@dataclass(frozen=True, slots=True)
class Files:
    """What the directory has, what the kernel knows of it, and what opens it."""

    catalog: Catalog
    inodes: InodeTable
    walks: WalkPrefetch
