"""The life of a mount: from the check of its directory until nothing is left of it.

serving.py puts all parts together and serves; lifecycle.py says what happens when the kernel takes a
mount and lets go of it, signals.py ends it, captured_stderr.py hears what libfuse says. Before that:
resolving.py, mount_table.py, preparing.py, claim.py and held_directory.py (the directory, which nobody
else may take), descriptors.py, memory.py, kernel_deadline.py and kernel_read_ahead.py (the limits of the
system), refusals.py, unknown_options.py and surroundings.py (why a mount was refused), daemon.py and
service_manager.py (the background, and who is told). status.py says how a mount is, affinity.py keeps a
busy process on one CPU, unmount.py takes a mount away.

It knows every package below it. cli/ and doctor/ may import it.
"""
