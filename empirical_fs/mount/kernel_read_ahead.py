"""How far the kernel reads ahead in the files of a mount, which only root may raise."""

import logging
from pathlib import Path

KIB = 256
"""What programs that read on get at a time; the kernel's default of 128 KiB costs twice the requests.

A page fault in a mapped file brings as much (do_sync_mmap_readahead in Linux), and each of many readers waits
for an answer of this size: with 512, 32 of them took 90 MiB more, and were no faster. Hence no more.
"""

_DEVICES = Path("/sys/class/bdi")

log = logging.getLogger(__name__)


def widen(device: str, devices: Path = _DEVICES) -> None:
    """Raise the read-ahead of a mount to `KIB`, where we may and the administrator has set no more.

    Args:
        device: the mount's major and minor number, as in `0:45`; none on macOS.
        devices: where the kernel keeps this (Documentation/ABI/testing/sysfs-class-bdi in Linux).
    """
    path = devices / device / "read_ahead_kb"
    try:
        if device and int(path.read_text()) < KIB:
            path.write_text(str(KIB))
    except OSError as error:
        log.info("the kernel reads 128 KiB ahead, for only root may have it read more: %s", error)
