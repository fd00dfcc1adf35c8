"""Raises the kernel's read-ahead in the files of a mount, which only root may do."""

import logging
from pathlib import Path

KIB = 256
"""The kernel's read-ahead that we set: the size of the requests of programs that read on. The default of the
kernel, 128 KiB, costs twice as many requests.

A page fault in a mapped file reads as much (do_sync_mmap_readahead in Linux), and each of many concurrent
readers waits for an answer of this size: with 512, 32 readers took 90 MiB more memory and were no faster.
"""

_DEFAULT_KIB = 128
"""VM_READAHEAD_PAGES in Linux."""

_DEVICES = Path("/sys/class/bdi")

log = logging.getLogger(__name__)


def widen(device: str, kib: int = KIB, devices: Path = _DEVICES) -> int:
    """Raise the kernel's read-ahead of a mount to `kib`, if we may and the administrator has not set more.

    The answer to FUSE_INIT must not come before and must allow as much, since it lowers the read-ahead to
    what it says (process_init_reply in Linux).

    Returns the KiB that the kernel reads ahead from then on.

    Args:
        device: the mount's major and minor number, as in `0:45`; empty on macOS.
        kib: how far it may read ahead.
        devices: the directory of these settings (Documentation/ABI/testing/sysfs-class-bdi in Linux).
    """
    path, found = devices / device / "read_ahead_kb", _DEFAULT_KIB
    try:
        found = int(path.read_text(encoding="utf-8")) if device else found
        if device and found < kib:
            path.write_text(str(kib))
            found = kib
    except OSError as error:
        log.info("the kernel reads %d KiB ahead, and only root may raise that: %s", found, error)
    return min(found, kib)
