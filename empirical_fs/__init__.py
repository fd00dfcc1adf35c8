"""A read-only file system for the resources of an Empirical project.

Imports go downwards:

    cli/                the commands, and their messages to the user
    mount/  doctor/     the life of a mount; checks of everything that a mount needs
    fuse/  fsspec/      answers to the kernel's requests, and to those of fsspec
    metrics/            what was counted, for Prometheus
    engine/             what reads one project, put together of all below
    catalog/  reading/  names and attributes of files; their bytes
    cache/              blocks of files on disk
    api/                the listing, and signed URLs
    net/                HTTP
    control/  settings/ how commands query a running mount; the options and the configuration
    work/               threads, timers, and tasks that wait for the network
    *.py                used by all: errors, clocks, cancellation, numbers, dates, text for a terminal

`sandbox/` is a server that serves a folder as an Empirical project. It shares no code with the rest.
"""

__version__ = "0.1.0"
