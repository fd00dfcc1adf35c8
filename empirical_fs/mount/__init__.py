"""The life of a mount: from the check of its directory to the end of its process.

While a mount is served: serving.py creates all parts that the kernel needs, and serves; lifecycle.py acts
when the kernel accepts and when it ends the mount; signals.py unmounts on a signal; captured_stderr.py
captures what libfuse writes to stderr; status.py reports the state of the mount, and metrics.py serves what
it has counted; affinity.py keeps a busy process on one CPU. disk_cache.py is what a mount does with the cache
on disk (no_cache.py where it is off); cache_commands.py does what commands ask for with it, task_runner.py
runs and ends that, pins.py keeps pinned files current; kept_names.py has the names of what is in a cache
without a mount.

Before that: resolving.py, preparing.py, claim.py and held_directory.py find, check, create, lock and hold the
directory; descriptors.py, memory.py, kernel_deadline.py, kernel_read_ahead.py and kernel_passthrough.py look
at the limits of the system; refusals.py, unknown_options.py and surroundings.py explain why a mount was
refused; daemon.py runs the process in the background, and service_manager.py notifies systemd.

mount_table.py reads the kernel's table of mounts, liveness.py asks a mount whether it answers, fusermount.py
unmounts it, and unmount.py does all that when a user asks for it, and waits for the end of server_process.py;
users.py names the programs that use a mount.

This package may import every package below it; only cli/ and doctor/ may import this one.
"""
