"""The files that the operations work on."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from empirical_fs.catalog.catalog import Catalog
from empirical_fs.fuse.inode_table import InodeTable
from empirical_fs.fuse.passthrough import Passthrough
from empirical_fs.reading.walk_prefetch import WalkPrefetch

if TYPE_CHECKING:  # not imported where the cache on disk is off
    from empirical_fs.reading.whole_files import WholeFiles


@dataclass(frozen=True, slots=True)
class Files:
    """The directory's files (`catalog`), what the kernel knows of them (`inodes`), and what opens them."""

    catalog: Catalog
    inodes: InodeTable
    walks: WalkPrefetch
    passthrough: Passthrough
    """Which of them the kernel reads by itself, from `whole_files`."""
    whole_files: "WholeFiles | None" = None
    """None without a disk cache."""
