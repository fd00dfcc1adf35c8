"""Tells the service manager that the mount is ready (systemd's Type=notify)."""

import logging
import os
import socket

_VARIABLE = "NOTIFY_SOCKET"

log = logging.getLogger(__name__)


def tell_ready() -> None:
    """Report that the mount answers, if a service manager has asked for that (NOTIFY_SOCKET).

    The protocol is that of sd_notify(3), whose page suggests to implement it rather than to link a library.
    """
    address = os.environ.pop(_VARIABLE, "")
    if not address:
        return
    if address.startswith("@"):
        address = f"\0{address[1:]}"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
            manager.connect(address)
            manager.sendall(b"READY=1\nSTATUS=mounted\n")
    except OSError as error:
        log.warning("the service manager was not told that the mount is there: %s", error.strerror or error)
