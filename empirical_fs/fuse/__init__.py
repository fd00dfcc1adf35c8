"""Answers the kernel's requests, and notifies it of changes, through libfuse's low-level API.

    loader       chooses libfuse 2 or 3, and loads it
    library      calls it through ctypes; all differences between the two are here
    structures   libfuse's structures, and the table of its operations
    options      the mount options: which are libfuse's, and which we act on ourselves
    session      mounts, runs the threads that take requests until the unmount, and notifies the kernel
    request      one request of the kernel, which is answered exactly once, by any thread
    nodes        which version of which resource each of the kernel's inodes is; pure policy
    inode_table  the nodes, shared between threads; tells the kernel when they change
    directory    open directory listings, and the cookies of their entries
    operations   one function for each operation
    lookup       finds files by name, and inodes by number; getattr: answers with their attributes
    opening      opens and closes files; open_file: one open file, and its waiting reads
    passthrough  decides which files of the disk cache the kernel reads by itself
    catalog_waits  answers once a listing agrees with the store, or once a size is known that the API lacks
    redating     asks whether an open version that the listing has with another date is still the same
    revalidation checks with the store before an isolated open that a file has not changed; policy
    store_backoff  whether opens still wait for the store, which may be out of reach; policy
    file_reads   reads of open files; directory_reads: of the directory; files: what the operations work on
    followed_files  files that programs follow (`tail -F`); policy
    failures     reads that failed a moment ago; interrupted_reads: by a signal
    callers      what /proc says about the thread that sent a request
    answering    answers an operation with an error, or later
    attributes   the structures that describe files to the kernel; xattrs: the extended attributes
    errnos       the table of errnos for our errors
    tracing      logs each request with `-vv`

It uses the catalogue (names and attributes) and the reading side (bytes), and knows neither HTTP nor
read-ahead. `mount` puts it together; `cli` and the doctor ask `loader` which libfuse would be used.
"""
