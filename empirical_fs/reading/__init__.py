"""The bytes of resources: which, from where, how far ahead.

open_files.py has the contents that are open, walk_prefetch.py fetches files before a directory walk comes
to them (walk_policy.py: which). reader.py reads one content (content.py; version.py says which answer
belongs to it) for its handles (cursor.py; pending_read.py: one read): read_ahead.py says how far ahead
(following.py, habits.py: what the kernel and the programs do), parts.py holds its parts (part.py) in memory
or in a file (buffers.py) within one budget (budget.py). A server that knows no ranges sends all of it
(download.py; room.py: whether there is room). fetch/ gets them.

read_ahead.py, following.py, habits.py, walk_policy.py, version.py and budget.py are policy: no I/O, no
threads. It knows nothing of the kernel. fuse/ and mount/ may import it, doctor/ too.
"""
