"""How a command talks to the process of a mount: by an ioctl on the mount's directory.

protocol.py has the commands and both sides, report.py checks each field of an answer, question.py waits at
most two seconds for an answer, by a forked process (asking.py), which it abandons if that hangs.
reloading.py waits for a new listing, cache_tasks.py for what a mount does with its cache.

It does not trust the answers. fuse/, mount/, doctor/ and cli/ may import it.
"""
