"""The bytes of resources: which, from where, how far ahead.

open_files.py: the contents that are open; handle.py: one open file.
walk_prefetch.py: fetches files before a directory walk comes to them; walk_policy.py: which.
reader.py: reads one content for all its handles; cursor.py: where one handle is; pending_read.py: one read.
content.py: one version of the bytes; version.py: which answer of the store belongs to it.
read_ahead.py: how far to read ahead; following.py, habits.py: what the kernel and the programs do.
parts.py, part.py: what is here or on its way; buffers.py: in memory or in a file; budget.py: how much.
download.py: a content that a server without ranges sends whole; room.py: whether the disk has room for it.
fetch/: gets them from the store.

read_ahead.py, following.py, habits.py, walk_policy.py, version.py and budget.py are policy: no I/O, no
threads. The package knows nothing of the kernel. fuse/ and mount/ may import it, doctor/ too.
"""
