"""How a command asks the process of a mount, by ioctl on the mount's directory.

protocol.py has the commands and both sides, report.py checks an answer field by field, question.py waits
for one two seconds and no longer, by another process (asker.py) that is left behind. reloading.py waits for
a listing.

It believes nothing that it hears. fuse/, mount/, doctor/ and cli/ may import it.
"""
