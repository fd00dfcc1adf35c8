"""The life of a mount: from the check of its directory to the end of its process.

While a mount is served:

    serving              creates all parts that the kernel needs, and serves
    lifecycle            acts when the kernel accepts the mount and when it ends it
    signals              unmounts on a signal
    captured_stderr      captures what libfuse writes to stderr
    status               reports the state of the mount
    metrics              serves what it has counted
    affinity             keeps a busy process on one CPU
    disk_cache           what a mount does with the cache on disk
    null_cache           the same where the cache is off
    cache_commands       does what commands ask for with the cache
    task_runner          runs and ends that
    pins                 keeps pinned files current
    kept_names           the names of what is in a cache without a mount

Before that:

    resolving, preparing, held_directory         find, check, create and hold the directory
    mount_lock                                   lets one process at a time mount on it
    descriptors, memory, kernel_deadline,
    kernel_read_ahead, kernel_passthrough        look at the limits of the system
    refusals, unknown_options, security_modules  explain why a mount was refused
    daemon                                       runs the process in the background
    service_manager                              notifies systemd

For all commands:

    mount_table       reads the kernel's table of mounts
    liveness          asks a mount whether it answers
    fusermount        unmounts it
    unmount           does all that when a user asks for it
    server_process    finds the process of a mount, and waits for its end
    users             names the programs that use a mount

This package may import every package below it; only cli/ and doctor/ may import this one.
"""
