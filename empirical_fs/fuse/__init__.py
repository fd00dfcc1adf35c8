"""The kernel's side: what the kernel asks through libfuse's low-level API, and what it is told.

    library      which libfuse there is; its functions by ctypes, with all that differs between 2 and 3
    structures   its structures, and the table of its operations
    options      the mount options: which are libfuse's, and which we act on ourselves
    session      mounts, and has threads take requests until the mount is gone; notifications
    request      one request of the kernel, which is answered exactly once, by whoever has the answer
    nodes        which version of which resource each inode of the kernel is; pure policy
    inode_table  the nodes between threads, and what the kernel is told when they become something else
    directory    a listing as it began, and cookies that belong to its entries
    operations   one function for each operation
    looking_up   finds files by their names, and inodes by their numbers; showing: their attributes
    opening      opens and closes files; open_file: what is open, and the reads of it that wait
    settling     waits for a listing that agrees with the store
    redating     a version that is open, and that the listing has under another date
    first_looks  whether a file is still what was seen of it a while ago; policy
    file_reads   reads of open files; files: what the operations work on
    followers    files that programs follow (`tail -F`); policy
    failures     reads that failed a moment ago; lingering: reads whose readers were interrupted
    callers      what the system says of the thread that a request is from
    answering    how an operation ends that does not end well, or not at once
    attributes   the structures in which the kernel is told of files; xattrs: the extended ones
    errnos       which errno a program hears for what went wrong: the one table
    tracing      what `-vv` tells of each request

It knows the catalogue (names and attributes) and the reading side (bytes), and neither HTTP nor how far to
read ahead. `mount` puts it together; `cli` and the doctor ask `library` which libfuse would serve.
"""
