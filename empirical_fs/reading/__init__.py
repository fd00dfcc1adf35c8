"""Reads the bytes of resources: decides which ranges to fetch, and how far to read ahead.

open_files.py: the contents that are open; handle.py: one open file. walk_prefetch.py: fetches files before a
directory walk reaches them; walk_policy.py: decides which files. disk.py: what the cache on disk has of open
contents; prefetch.py: fetches whole files into it, for commands; prefetch_policy.py: which file next, and how
many requests at once. reader.py: reads one content for all its handles; supply.py: begins to fetch the bytes;
cursor.py: where a handle reads; pending_read.py: one read. content.py: one version of the bytes; version.py:
decides which answers of the store belong to a version. read_ahead.py: how far to read ahead;
read_ahead_detection.py: which reads are the kernel's own read-ahead; habits.py: how far programs read in
files. parts.py, part.py: the ranges that have arrived or are being fetched; buffers.py: keeps their bytes in
memory or in a file; budget.py: limits the memory. download.py: a content that a server without ranges sends
whole; spool_space.py: whether the disk has room for it. disk.py: what the disk cache has of the open
contents; whole_files.py: which of its files the kernel may read. fetch/: fetches parts from the object store.

read_ahead.py, read_ahead_detection.py, habits.py, prefetch_policy.py, walk_policy.py, version.py and
budget.py are policy: they do no I/O and start no threads. The package knows nothing of the kernel. fuse/,
mount/ and doctor/ may import it.
"""
