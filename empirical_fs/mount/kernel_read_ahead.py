"""How far the kernel reads ahead in the files of a mount, which only root may raise."""

import logging
from pathlib import Path

KIB = 256
"""What programs that read on get at a time; the kernel's default of 128 KiB costs twice the requests.

A page fault in a mapped file brings as much (do_sync_mmap_readahead in Linux), and each of many readers waits
for an answer of this size: with 512, 32 of them took 90 MiB more, and were no faster. Hence no more.
"""

_DEFAULT_KIB = 128
"""VM_READAHEAD_PAGES in Linux."""

_DEVICES = Path("/sys/class/bdi")

log = logging.getLogger(__name__)


def widen(device: str, devices: Path = _DEVICES) -> int:
    """Raise the read-ahead of a mount to `KIB`, where we may and the administrator has set no more.

    Returns the KiB that the kernel reads ahead from then on.

    Args:
        device: the mount's major and minor number, as in `0:45`; none on macOS.
        devices: where the kernel keeps this (Documentation/ABI/testing/sysfs-class-bdi in Linux).
    """
    path, found = devices / device / "read_ahead_kb", _DEFAULT_KIB
    try:
        found = int(path.read_text(encoding="utf-8")) if device else found
        if device and found < KIB:
            path.write_text(str(KIB))
            found = KIB
    except OSError as error:
        log.info("the kernel reads %d KiB ahead, for only root may have it read more: %s", found, error)
    return found
