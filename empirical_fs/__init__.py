"""A read-only file system for the resources of an Empirical project.

Imports go downwards:

    cli/                the commands: what the user asked for, one line back
    mount/  doctor/     the life of a mount; a look at everything that a mount needs
    fuse/               the kernel's side
    catalog/  reading/  names and attributes; bytes
    api/                the listing, signed URLs
    net/                HTTP
    control/  settings/ how commands ask a mount; what may be asked for
    work/               threads, deadlines, work that waits
    *.py                for all: errors, clocks, cancellation, numbers, dates, words for a terminal

`sandbox/` is an Empirical project served from a folder. It shares no code with the rest.
"""

__version__ = "0.1.0"
