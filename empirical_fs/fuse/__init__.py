"""Answers the kernel's requests, and notifies it of changes, through libfuse's low-level API.

    loader             chooses libfuse 2 or 3, and loads it
    library            calls it through ctypes; all differences between the two are here
    structures         libfuse's structures, and the table of its operations
    options            the mount options: which are libfuse's, and which we act on ourselves
    session            mounts, runs the threads that take requests until the unmount, and notifies the kernel
    memory_allocator   sets how much freed memory glibc keeps
    request            one request of the kernel, which is answered exactly once, by any thread
    operations         one function for each operation

    nodes              which version of which resource each of the kernel's inodes is; policy
    inode_table        the nodes, shared between threads; tells the kernel when they change
    lookup             answers lookups: finds files by name, and inodes by number
    getattr            answers with the attributes of a file
    attributes         the structures that describe files to the kernel
    xattr_reads        answers with extended attributes; xattrs: their names and values
    directory          open directory listings, and the cookies of their entries
    directory_reads    answers reads of the directory

    files              the objects that the operations work on
    opening            opens and closes files; open_file: one open file, and its waiting reads
    file_reads         answers reads of open files
    interrupted_reads  reads that go on although a signal interrupted the program
    repeated_reads     reads that the kernel repeats after a failure; policy
    passthrough        decides which files of the disk cache the kernel reads by itself

    catalog_waits      lets requests wait for a listing, or for a size that the API does not give
    revalidation       asks the store before an isolated open whether a file has changed
    redating           asks whether an open version that the listing has with another date is still the same
    store_backoff      whether opens still wait for a store that may be out of reach; policy
    followed_files     the files that programs follow (`tail -F`); policy
    callers            what /proc says about the thread that sent a request

    answering          answers an operation with an error, or later
    errnos             which errno an operation answers with
    tracing            logs each request with `-vv`

It uses the catalogue (names and attributes) and the reading side (bytes), and knows neither HTTP nor
read-ahead. `mount` puts it together; `cli` and the doctor ask `loader` which libfuse would be used.
"""
